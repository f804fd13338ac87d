cimport cython

cdef double _NO_LIMIT

@cython.final
cdef class Rate:
    cdef double _messages_a_second
    cdef double _bytes_a_second
    cdef double _messages
    cdef double _bytes
    cdef double _filled_at
    cdef bint _is_warned
    cdef object _clock

    cpdef int take(self, Py_ssize_t messages, Py_ssize_t size)
    @cython.locals(now=double, elapsed=double)
    cdef int _refill(self)
