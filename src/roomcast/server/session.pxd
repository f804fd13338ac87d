cimport cython

from roomcast.protocol.prepared cimport PreparedMessage
from roomcast.server.wire cimport Wire

cdef class Session(Wire):
    cdef object _max_message_size
    cdef bint _is_over
    cdef bint _closed_by_app
    cdef bint _said_connect
    cdef bint _is_answering
    cdef bint _shutting_down
    cdef object _opening
    cdef object _task
    cdef int _end_code
    cdef readonly object _end_reason
    cdef object _callbacks
    cdef public object user

    cdef _receive_early(self, bytes data)
    @cython.locals(given=dict)
    cdef _do(self, event)
    @cython.locals(frame=bytes)
    cpdef bint offer(self, PreparedMessage message, recipient=*)
    cdef _end_when_answered(self)
    cdef _send_close(self, code, reason)
    cdef _closing(self, bytes frame, code, reason)
    cdef _finished(self)
