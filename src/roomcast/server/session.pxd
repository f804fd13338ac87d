cimport cython

from roomcast.protocol.connection cimport Connection
from roomcast.server.outbox cimport Outbox
from roomcast.server.waiters cimport Waiters

cdef class Session:
    cdef object _upkeep
    cdef object _max_message_size
    cdef bint _is_open
    cdef bint _is_over
    cdef bint _closed_by_app
    cdef bint _said_connect
    cdef bint _reading_paused
    cdef bint _is_answering
    cdef bint _is_silent
    cdef bint _shutting_down
    cdef object _transport
    cdef Outbox _outbox
    cdef Connection _connection
    cdef object _opening
    cdef object _task
    cdef object _inbox
    cdef Py_ssize_t _inbox_bytes
    cdef Waiters _receivers
    cdef Waiters _senders
    cdef object _ending
    cdef int _end_code
    cdef object _end_reason
    cdef object _callbacks

    cdef _receive_early(self, bytes data)
    cdef dict _take(self)
    cdef _do(self, event)
    cdef _end_when_answered(self)
    cdef _send_close(self, code, reason)
    cdef _half_close(self)
    cdef _write_all(self)
    cdef _resume_reading(self)
