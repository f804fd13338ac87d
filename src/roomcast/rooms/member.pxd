cimport cython

@cython.final
cdef class Member:
    cdef readonly object room
    cdef readonly object presence
    cdef readonly object id
    cdef readonly object encoder
    cdef readonly object connection
    cdef readonly object policy
    cdef object _outlet
    cdef object _offer
    cdef public object stay
    cdef public object formerly
    cdef public object recovered
    cdef object _held
    cdef Py_ssize_t _delivered
    cdef Py_ssize_t _dropped
    cdef object __weakref__

    cpdef bint deliver(self, message, position=*)
    cpdef bint offer(self, message)
    cpdef drop(self)
    cpdef miss(self)
    cdef bint _count(self, bint taken)
    cdef bint _keep_back(self, message, position, held)
