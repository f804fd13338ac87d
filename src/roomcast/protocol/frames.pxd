# Types that Cython compiles the module of this name with: see setup.py.
cimport cython

@cython.final
cdef class FrameHeader:
    cdef public int first
    cdef public Py_ssize_t length
    cdef public Py_ssize_t start

@cython.locals(first=int, second=int, length=Py_ssize_t, start=Py_ssize_t)
cpdef FrameHeader read_header(bytes data, Py_ssize_t position, Py_ssize_t end, int mask_bit)
cpdef bytes frame_header(int first, Py_ssize_t length, int mask_bit=*)
cpdef bytes server_frame(int first, bytes payload)
cpdef bytes client_frame(int first, bytes payload)
