cimport cython

cdef Py_ssize_t FLUSH_AT
cdef Py_ssize_t SLICE

@cython.final
cdef class Flusher:
    cdef object _loop
    cdef list _own
    cdef list _dirty
    cdef object _late
    cdef bint _is_due
    cdef object __weakref__

    cdef mark(self, Outbox outbox, bint own)
    @cython.locals(turn=list, fresh=list, outbox=Outbox, waited=Py_ssize_t)
    cpdef flush(self)
    cdef _call(self)

@cython.final
cdef class Outbox:
    cdef object _transport
    cdef Flusher _flusher
    cdef bytes _first
    cdef list _rest
    cdef Py_ssize_t _bytes
    cdef object _backlog
    cdef bint _marked
    cdef public Py_ssize_t bound
    cdef public bint paused
    cdef readonly Py_ssize_t written

    cpdef put(self, bytes frame)
    cpdef bint offer(self, bytes frame, recipient=*)
    cpdef Py_ssize_t size(self)
    cpdef forget_written(self)
    cpdef bint is_full(self)
    cpdef pause(self)
    cpdef resume(self)
    @cython.locals(frame=bytes)
    cpdef flush(self)
    cpdef flush_all(self)
    cpdef abort(self)
    cpdef clear(self)
    cdef _queue(self, bytes frame)
    cdef _mark(self, bint own)
    @cython.locals(frames=list)
    cdef list _take(self)
    @cython.locals(frames=bytes)
    cdef _flush_backlog(self, Py_ssize_t step)
