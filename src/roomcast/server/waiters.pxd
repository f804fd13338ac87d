cimport cython

cdef class Waiters:
    cdef object _loop
    cdef object _waiter
    cdef list _others

    cpdef wait(self)
    @cython.locals(others=list)
    cpdef wake(self)
