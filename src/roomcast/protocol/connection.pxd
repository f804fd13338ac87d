# Types that Cython compiles the module of this name with: see setup.py.
cimport cython

from roomcast.protocol.frames cimport FrameHeader, read_header
from roomcast.protocol.long_frame cimport LongFrame
from roomcast.protocol.masking cimport mask, unmask_text
from roomcast.protocol.message cimport IncomingMessage
from roomcast.protocol.sending cimport Sender

cdef Py_ssize_t _NO_LIMIT
cdef Py_ssize_t _TINY
cdef int _TEXT
cdef int _CLOSE
cdef int _PONG
cdef int _BETWEEN_FRAMES
cdef int _IN_HEADER
cdef int _IN_PAYLOAD
cdef int _AT_END

@cython.final
cdef class Connection(Sender):
    cdef int _phase
    cdef int _header_size
    cdef bint _final
    cdef Py_ssize_t _max_message_size
    cdef Py_ssize_t _max_fragments
    cdef Py_ssize_t _max_control_frames
    cdef Py_ssize_t _control_frames
    cdef double _control_since
    cdef Py_ssize_t _read
    cdef Py_ssize_t _frame_start
    cdef Py_ssize_t _remaining
    cdef bytes _kept
    cdef bytes _key
    cdef object _clock
    cdef object _inflater
    cdef IncomingMessage _message
    cdef object _close_received
    cdef readonly object error
    cdef public Py_ssize_t fragments

    @cython.locals(
        events=list, source=cython.p_const_uchar, first=int, length=Py_ssize_t,
        position=Py_ssize_t, start=Py_ssize_t, stop=Py_ssize_t, end=Py_ssize_t, after=Py_ssize_t,
    )
    cpdef list receive_data(self, bytes data)
    cpdef list receive_eof(self)
    cpdef bint is_within_message(self)
    cpdef fail(self, error)
    @cython.locals(
        header=FrameHeader, message=IncomingMessage, first=int, length=Py_ssize_t,
        start=Py_ssize_t, stop=Py_ssize_t,
    )
    cdef Py_ssize_t _receive_frame(self, bytes data, Py_ssize_t position, Py_ssize_t end, list events) except -2
    cdef IncomingMessage _begin_message(self, int first, Py_ssize_t length)
    @cython.locals(message=IncomingMessage, deflated=bint, room=Py_ssize_t)
    cdef _check_order_and_size(self, int first, Py_ssize_t length)
    @cython.locals(stop=Py_ssize_t, turned=Py_ssize_t)
    cdef Py_ssize_t _receive_payload(self, IncomingMessage message, bytes data, Py_ssize_t start, list events) except -2
    cdef _receive_control(self, int first, bytes payload, list events)
    cdef _count_control_frame(self)
    cdef _fail(self, error, Py_ssize_t position, list events)
    cdef _end(self)
    @cython.locals(payload=bytes)
    cdef _message_at(self, int first, bytes data, Py_ssize_t start, Py_ssize_t stop)
    cdef bytes _unmasked(self, bytes data, Py_ssize_t start, Py_ssize_t stop)
