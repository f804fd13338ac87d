# Types that Cython compiles the module of this name with: see setup.py.
cimport cython

from roomcast.protocol.frames cimport client_frame, server_frame, text_frame
from roomcast.protocol.prepared cimport PreparedMessage

cdef int _TEXT
cdef int _BINARY

cdef class Sender:
    cdef int _mask_bit
    cdef bint _sending_ended
    cdef object _deflate
    cdef object _deflater
    cdef list _replies
    cdef object _close_sent
    cdef object _close_reply

    cpdef bint has_replies(self)
    cpdef bytes data_to_send(self)
    cpdef bytes send_text(self, text)
    cpdef bytes send_bytes(self, bytes payload)
    cpdef bytes send_prepared(self, PreparedMessage message)
    cdef _reply(self, bytes frame)
    cdef _reply_close(self, bytes payload, close)
    cdef bytes _message_frame(self, int first, bytes payload)
    cdef bytes _control_frame(self, int first, bytes payload, what)
    cdef bytes _frame(self, int first, bytes payload)
