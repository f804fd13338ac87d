cimport cython

@cython.final
cdef class Waiters:
    cdef object _loop
    cdef object _first
    cdef list _others

    cpdef wait(self)
    @cython.locals(others=list)
    cpdef wake(self)
