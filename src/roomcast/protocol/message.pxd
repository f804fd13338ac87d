# Types that Cython compiles the module of this name with: see setup.py.
cimport cython

@cython.final
cdef class IncomingMessage:
    cdef bint _is_text
    cdef object _inflater
    cdef Py_ssize_t _max_size
    cdef Py_ssize_t _fragments_left
    cdef bytearray _payload
    cdef Py_ssize_t _checked

    cpdef begin_fragment(self)
    cpdef feed(self, bytes piece)
    cpdef finish(self)
