cimport cython

from roomcast.server.waiters cimport Waiters

cdef Py_ssize_t MESSAGE_OVERHEAD

@cython.final
cdef class Inbox(Waiters):
    cdef Py_ssize_t _bound
    cdef Py_ssize_t _bytes
    cdef object _first
    cdef object _rest

    cpdef bint is_empty(self)
    cpdef bint is_full(self)
    cpdef bint has_room(self)
    cpdef put(self, message)
    cpdef take(self)
    cpdef clear(self)
