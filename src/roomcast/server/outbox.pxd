cimport cython

@cython.final
cdef class Flusher:
    cdef object _loop
    cdef list _dirty
    cdef object __weakref__

    cdef mark(self, Outbox outbox)
    @cython.locals(dirty=list, outbox=Outbox)
    cpdef flush(self)

@cython.final
cdef class Outbox:
    cdef object _transport
    cdef Flusher _flusher
    cdef list _frames
    cdef Py_ssize_t _bytes
    cdef bint _marked
    cdef public Py_ssize_t bound
    cdef public bint paused

    cpdef put(self, bytes frame)
    @cython.locals(waiting=Py_ssize_t)
    cpdef bint offer(self, bytes frame)
    cpdef Py_ssize_t size(self)
    cpdef bint is_full(self)
    @cython.locals(frames=list)
    cpdef flush(self)
    cpdef abort(self)
    cpdef clear(self)
