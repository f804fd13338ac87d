# Types that Cython compiles the module of this name with: see setup.py.
cimport cython

@cython.locals(
    size=Py_ssize_t, whole=Py_ssize_t, at=Py_ssize_t, masked=bytes,
    source=cython.p_const_uchar, target=cython.p_uchar,
    key0=cython.uchar, key1=cython.uchar, key2=cython.uchar, key3=cython.uchar,
)
cpdef bytes mask(bytes data, Py_ssize_t start, Py_ssize_t stop)
