# Types that Cython compiles the module of this name with: see setup.py.
cimport cython

cdef Py_ssize_t _BLOCK

@cython.locals(size=Py_ssize_t, masked=bytes, source=cython.p_const_uchar, target=cython.p_uchar)
cpdef bytes mask(bytes data, Py_ssize_t start, Py_ssize_t stop)

@cython.locals(size=Py_ssize_t, source=cython.p_const_uchar, target=cython.p_uchar)
cpdef unmask_text(bytes data, Py_ssize_t start, Py_ssize_t stop)

@cython.locals(
    size=Py_ssize_t, before=Py_ssize_t,
    source=cython.p_const_uchar, target=cython.p_uchar, key_bytes=cython.p_const_uchar,
)
cpdef mask_onto(bytearray message, bytes data, Py_ssize_t start, Py_ssize_t stop, bytes key)

@cython.locals(
    whole=Py_ssize_t, at=Py_ssize_t,
    key0=cython.uchar, key1=cython.uchar, key2=cython.uchar, key3=cython.uchar,
)
cdef void xor_into(unsigned char* target, const unsigned char* source, const unsigned char* key, Py_ssize_t size) noexcept

@cython.locals(done=Py_ssize_t, stop=Py_ssize_t)
cdef Py_ssize_t xor_ascii_into(
    unsigned char* target, const unsigned char* source, const unsigned char* key, Py_ssize_t size
) noexcept

@cython.locals(end=Py_ssize_t, at=Py_ssize_t, bits=cython.uchar)
cdef Py_ssize_t ascii_until(const unsigned char* text, Py_ssize_t start, Py_ssize_t stop) noexcept
