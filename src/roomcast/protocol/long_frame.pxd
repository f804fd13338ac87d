# Types that Cython compiles the module of this name with: see setup.py.
cimport cython

from roomcast.protocol.message cimport IncomingMessage

cdef Py_ssize_t _AHEAD
cdef bytes _NO_KEY

cdef class LongFrame(IncomingMessage):
    cdef Py_ssize_t _length
    cdef Py_ssize_t _written
    cdef Py_ssize_t _room
    cdef object _held

    @cython.locals(
        size=Py_ssize_t, needed=Py_ssize_t, done=Py_ssize_t,
        source=cython.p_const_uchar, key_bytes=cython.p_const_uchar,
    )
    cpdef feed(self, bytes data, Py_ssize_t start, Py_ssize_t stop, bytes key)
    cpdef finish(self)
    @cython.locals(start=cython.p_const_uchar)
    cdef _reserve(self, Py_ssize_t room)
    @cython.locals(exact=bytes, start=cython.p_uchar)
    cdef unsigned char* _start(self) noexcept
    cdef unsigned char* _end(self) noexcept
