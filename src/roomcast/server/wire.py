"""Wire: a connection's transport and its protocol.

What comes is read into the inbox, as fast as the app takes it; what goes waits in the outbox.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from roomcast.counts import Reason, counts
from roomcast.errors import MessageTooLate, ProtocolError, RateExceeded
from roomcast.protocol.events import Close
from roomcast.server.inbox import Inbox
from roomcast.server.outbox import Outbox
from roomcast.server.rate import OVER
from roomcast.server.settings import UNLIMITED
from roomcast.server.waiters import Waiters
from roomcast.tally import Traffic

if TYPE_CHECKING:
    from roomcast.protocol.connection import Connection
    from roomcast.server.rate import Rate
    from roomcast.server.upkeep import Upkeep

STEP = 1024
"""How many bytes are read at once of what may be deflated: it may be a thousand times as long, inflated, and all
else waits for it."""
FRAGMENTS_OF_A_MESSAGE = 8
"""How many fragments count as one more message, for the rate: each costs time, however little it says."""
LATE_BYTES = 16 * 1024 * 1024
"""How much is read, and thrown away, of what comes after an error: then the peer is cut off."""
_PINGED = -1
_NOT_LATE = -1


class Wire:
    """The transport's side of one connection.

    Args:
        upkeep: what it shares with the server's other connections.
    """

    __slots__ = (
        "_bytes_in",
        "_connection",
        "_ending",
        "_inbox",
        "_is_lost",
        "_is_open",
        "_is_silent",
        "_is_within_message",
        "_late_bytes",
        "_may_be_deflated",
        "_messages_in",
        "_messages_out",
        "_outbox",
        "_peer_has_shut",
        "_rate",
        "_reading_paused",
        "_senders",
        "_stuck_at",
        "_transport",
        "_unread",
        "_upkeep",
        "_warning",
    )

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep
        self._transport: Any = None
        self._outbox: Outbox = None  # type: ignore[assignment]
        self._connection: Connection = None  # type: ignore[assignment]
        self._is_open = False
        self._inbox = Inbox(upkeep.loop, upkeep.settings.inbound_bytes or UNLIMITED)
        self._unread = b""
        self._reading_paused = False
        self._may_be_deflated = False
        self._ending: Close | ProtocolError | None = None
        self._senders: Waiters | None = None
        self._is_lost = False
        self._is_silent = False
        self._stuck_at = _PINGED
        self._peer_has_shut = False
        self._rate: Rate | None = None
        self._warning: str | None = None
        self._is_within_message = False
        self._late_bytes = _NOT_LATE
        self._messages_in = 0
        self._messages_out = 0
        self._bytes_in = 0

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's or uvloop's
        """Take the transport."""
        self._transport = transport
        self._outbox = Outbox(transport, self._upkeep.flusher, self._upkeep.settings.outbound_bytes or UNLIMITED)

    # What comes.

    def data_received(self, data: bytes) -> None:
        """Take what came from the peer."""
        self._is_silent = False
        if self._connection is None:
            self._receive_early(data)
        elif self._late_bytes != _NOT_LATE:
            self._receive_late(data)
        elif self._may_be_deflated and (len(data) > STEP or self._reading_paused):
            self._receive_in_steps(data)
        else:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        ended = False
        messages = size = 0
        self._bytes_in += len(data)
        for event in self._connection.receive_data(data):
            if isinstance(event, (str, bytes)):
                messages += 1
                size += len(event)
                if self._is_open:
                    self._messages_in += 1
                    self._inbox.put(event)
            elif isinstance(event, (Close, ProtocolError)):
                self._ending = event
                ended = True
        if self._connection.is_within_message():
            if messages or not self._is_within_message:
                self._is_within_message = True
                self._upkeep.messages.add(self)
        elif self._is_within_message:
            self._is_within_message = False
            self._upkeep.messages.discard(self)
        if self._rate is not None and self._is_open and not ended:
            fragments = self._connection.fragments
            if fragments >= FRAGMENTS_OF_A_MESSAGE:
                messages += fragments // FRAGMENTS_OF_A_MESSAGE
                self._connection.fragments = fragments % FRAGMENTS_OF_A_MESSAGE
            verdict = self._rate.take(messages, max(size, len(data)))
            if verdict:
                self._too_fast(verdict)
        if self._is_open and not self._inbox.is_empty():
            self._inbox.wake()
            if self._inbox.is_full() and not self._reading_paused:
                self._reading_paused = True
                self._transport.pause_reading()
        if ended:
            self._end_when_answered()
        elif (
            self._ending is None
            and self._connection.has_replies()
            and not self._outbox.offer(self._connection.data_to_send())
        ):
            self._too_slow()

    def _receive_in_steps(self, data: bytes) -> None:
        """Read what may inflate only as far as the app takes it."""
        if self._unread:
            data = self._unread + data
            self._unread = b""
        for start in range(0, len(data), STEP):
            if self._reading_paused:
                self._unread = data[start:]
                return
            self._receive(data[start : start + STEP])

    def _resume_reading(self) -> None:
        self._reading_paused = False
        self._is_silent = False  # what it sent meanwhile is not read yet
        if self._unread:
            self._receive_in_steps(b"")
        if not self._reading_paused:
            self._transport.resume_reading()

    def _receive_early(self, data: bytes) -> None:
        """Take what comes before the connection is open."""

    def _receive_late(self, data: bytes) -> None:
        """Throw away what comes after an error, which the peer may not have seen yet; not for ever."""
        self._late_bytes += len(data)
        if self._late_bytes > LATE_BYTES:
            counts[Reason.CLOSE_TIMEOUT] += 1
            self._transport.abort()

    def message_is_late(self) -> None:
        """A message that has begun did not come to its end in time; not for want of reading it."""
        if self._reading_paused:
            self._upkeep.messages.add(self)
        elif self._is_open:
            seconds = self._upkeep.settings.message_timeout
            self._fail(MessageTooLate(f"a message that did not come to its end within {seconds:g} s"))

    def _end_when_answered(self) -> None:
        """Answer the peer's close, or its error, once the app has answered what came before it."""

    def _too_slow(self) -> None:
        """Close the connection: the peer does not read what it asked for."""

    def answer_is_late(self) -> None:
        """Answer the peer's close, or its error, whatever the app still has to say."""

    # How much comes.

    def limit_rate(self, rate: Rate, warning: str | None) -> None:
        """Bound what comes: where it is too much, the peer is warned first; then the connection ends with 4029.

        Args:
            rate: the bucket, of this connection alone.
            warning: the message that warns; None for none.
        """
        self._rate = rate
        self._warning = warning

    @property
    def has_failed(self) -> bool:
        """Whether the connection was ended for what the peer sent."""
        return self._late_bytes != _NOT_LATE

    def _too_fast(self, verdict: int) -> None:
        if verdict == OVER:
            self._fail(RateExceeded("too many messages or bytes in a second"))
            return
        counts[Reason.RATE_WARNING] += 1
        if self._warning is not None and not self._outbox.offer(self._connection.send_text(self._warning)):
            self._too_slow()

    def _fail(self, error: ProtocolError) -> None:
        """End the connection for what the peer did; what has come, and the app has not taken, is dropped."""
        self._connection.fail(error)
        self._inbox.clear()
        self._unread = b""
        if self._reading_paused:
            self._resume_reading()
        self._ending = error
        self.answer_is_late()

    # What goes.

    @property
    def bound(self) -> int:
        """How many bytes may wait for the peer."""
        return self._outbox.bound

    @bound.setter
    def bound(self, bound: int) -> None:
        self._outbox.bound = bound

    @property
    def queued_bytes(self) -> int:
        """How many bytes wait for the peer."""
        return self._outbox.size()

    @property
    def traffic(self) -> Traffic:
        """What went over the connection since it is open."""
        return Traffic(self._messages_in, self._bytes_in, self._messages_out, self._outbox.written)

    def pause_writing(self) -> None:
        """Note that the peer does not keep up."""
        self._outbox.pause()

    def resume_writing(self) -> None:
        """Note that the peer keeps up again."""
        self._outbox.resume()
        if not self._outbox.paused and self._senders is not None:
            self._senders.wake()

    def write(self, data: bytes) -> None:
        """Write what is not a message, and is never dropped: a response, or a part of one."""
        was_paused = self._outbox.paused
        self._outbox.put(data)
        if was_paused:
            self._outbox.flush_all()
            self._outbox.pause()

    async def drained(self) -> bool:
        """Wait until the peer keeps up, or the connection is over: False where neither came in time."""
        self._outbox.flush()
        if not self._outbox.paused:
            return True
        try:
            if self._senders is None:
                self._senders = Waiters(self._upkeep.loop)
            async with asyncio.timeout(self._upkeep.settings.send_timeout):
                await self._senders.wait()
        except TimeoutError:
            return False
        return True

    # The keepalive's side.

    def ping(self) -> None:
        """Send a ping, unless the peer reads too slowly to get it in time."""
        if not self._outbox.paused:
            self._outbox.put(self._connection.send_ping())

    def listen(self) -> None:
        """Count the peer as silent until something comes from it, or goes to it where much waits already."""
        self._is_silent = True
        self._stuck_at = self._transport.get_write_buffer_size() if self._outbox.paused else _PINGED

    def is_silent(self) -> bool:
        """Whether there was no sign of life since `listen`, though it would have been seen."""
        if not self._is_silent or self._reading_paused:
            return False
        if self._stuck_at == _PINGED:
            return True
        return self._outbox.paused and self._transport.get_write_buffer_size() >= self._stuck_at

    # The end.

    def closing_is_late(self) -> None:
        """The peer did not end the connection in time."""
        counts[Reason.CLOSE_TIMEOUT] += 1
        self._transport.abort()

    def close_transport(self) -> None:
        """Have what waits written, and the socket closed: at the deadline at the latest."""
        self._write_all()
        self._transport.close()

    def _half_close(self) -> None:
        """Have what waits written, and close this side only, where that can be.

        The peer may be sending still. When a socket with unread data is closed, the kernel resets the connection,
        and what the peer has not read yet is lost: the close frame, too.
        """
        self._late_bytes = 0
        self._write_all()
        if self._transport.can_write_eof() and not self._peer_has_shut:
            self._transport.write_eof()
        else:
            self._transport.close()

    def _write_all(self) -> None:
        self._upkeep.closings.add(self)
        self._outbox.flush_all()
