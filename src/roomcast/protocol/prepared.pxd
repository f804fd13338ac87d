# Types that Cython compiles the module of this name with: see setup.py.
cimport cython

@cython.final
cdef class PreparedMessage:
    cdef readonly object data
    cdef readonly bint is_text
    cdef readonly bytes payload
    cdef bytes _frame
    cdef dict _deflated

    cpdef bytes frame(self)
