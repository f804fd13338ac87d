# Types that Cython compiles the module of this name with: see setup.py.
cimport cython

cdef int _TEXT
cdef int _LONGEST_HEADER

@cython.final
cdef class FrameHeader:
    cdef public int first
    cdef public Py_ssize_t length
    cdef public Py_ssize_t start

@cython.locals(first=int, second=int, length=Py_ssize_t, start=Py_ssize_t)
cpdef FrameHeader read_header(bytes data, Py_ssize_t position, Py_ssize_t end, int mask_bit)
cpdef bytes frame_header(int first, Py_ssize_t length, int mask_bit=*)
cpdef bytes server_frame(int first, bytes payload)
@cython.locals(payload=bytes, exact=str)
cpdef bytes text_frame(text)
@cython.locals(frame=bytes, target=cython.p_uchar, start=Py_ssize_t, at=Py_ssize_t, left=Py_ssize_t)
cdef bytes _frame(int first, const char* payload, Py_ssize_t size)
cpdef bytes client_frame(int first, bytes payload)
