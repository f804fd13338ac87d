cimport cython

from roomcast.protocol.connection cimport Connection
from roomcast.server.inbox cimport Inbox
from roomcast.server.outbox cimport Outbox
from roomcast.server.rate cimport Rate
from roomcast.server.waiters cimport Waiters

cdef Py_ssize_t STEP
cdef Py_ssize_t FRAGMENTS_OF_A_MESSAGE
cdef Py_ssize_t LATE_BYTES
cdef Py_ssize_t _PINGED
cdef Py_ssize_t _NOT_LATE

cdef class Wire:
    cdef readonly object _upkeep
    cdef readonly object _transport
    cdef Outbox _outbox
    cdef Connection _connection
    cdef bint _is_open
    cdef Inbox _inbox
    cdef bytes _unread
    cdef bint _may_be_deflated
    cdef object _ending
    cdef Waiters _senders
    cdef bint _reading_paused
    cdef bint _is_lost
    cdef bint _is_silent
    cdef Py_ssize_t _stuck_at
    cdef bint _peer_has_shut
    cdef Rate _rate
    cdef object _warning
    cdef bint _is_within_message
    cdef Py_ssize_t _late_bytes
    cdef Py_ssize_t _messages_in
    cdef Py_ssize_t _messages_out
    cdef Py_ssize_t _bytes_in

    cdef _receive_early(self, bytes data)
    @cython.locals(messages=Py_ssize_t, size=Py_ssize_t, ended=bint, verdict=int, fragments=Py_ssize_t)
    cdef _receive(self, bytes data)
    cdef _receive_late(self, bytes data)
    cdef _receive_in_steps(self, bytes data)
    cdef _resume_reading(self)
    cdef _end_when_answered(self)
    cdef _too_slow(self)
    cdef _too_fast(self, int verdict)
    cdef _fail(self, error)
    cdef _half_close(self)
    cdef _write_all(self)
