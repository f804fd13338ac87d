# Types that Cython compiles the module of this name with: see setup.py.
cimport cython

from roomcast.protocol.masking cimport mask_onto

cdef class IncomingMessage:
    cdef bint _is_text
    cdef bint _is_ascii
    cdef object _inflater
    cdef Py_ssize_t _max_size
    cdef Py_ssize_t _fragments_left
    cdef bytearray _payload
    cdef Py_ssize_t _checked

    cpdef begin_fragment(self)
    @cython.locals(piece=bytearray)
    cpdef feed(self, bytes data, Py_ssize_t start, Py_ssize_t stop, bytes key)
    @cython.locals(source=cython.p_const_uchar)
    cpdef finish(self)
    @cython.locals(text=cython.p_const_uchar, size=Py_ssize_t)
    cdef _check(self)
