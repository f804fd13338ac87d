"""Session: one connection, from its request to its end, as ASGI's `receive` and `send`.

To the transport it is a protocol of asyncio's, to the app `receive` and `send`, and to rooms an outlet. It is
opening first, then open, then over. Over is what the app sees: the wire may still wait for the peer's close frame.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from roomcast.backlog import SlowPolicy
from roomcast.close_codes import CloseCode
from roomcast.counts import Reason, counts
from roomcast.errors import Disconnected, ProtocolError
from roomcast.protocol.events import Close
from roomcast.protocol.handshake import Refusal
from roomcast.server.draining import RESTART
from roomcast.server.events import close_of, message_of, misplaced
from roomcast.server.opening import Opening
from roomcast.server.reasons import reason_of
from roomcast.server.running import run_app, tell_of_the_end
from roomcast.server.wire import Wire
from roomcast.tally import tally

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from roomcast.backlog import Recipient
    from roomcast.protocol.connection import Connection
    from roomcast.protocol.handshake import ServerHandshake
    from roomcast.protocol.negotiation import DeflateAgreement
    from roomcast.protocol.prepared import PreparedMessage
    from roomcast.server.upkeep import Upkeep

logger = logging.getLogger("roomcast.server")


class Session(Wire):
    """One connection of a server.

    Args:
        upkeep: what it shares with the server's other connections.
        max_message_size: the most bytes in a message that comes, or None.
    """

    __slots__ = (
        "_callbacks",
        "_closed_by_app",
        "_end_code",
        "_end_reason",
        "_is_answering",
        "_is_over",
        "_max_message_size",
        "_opening",
        "_said_connect",
        "_shutting_down",
        "_task",
        "user",
    )

    def __init__(self, upkeep: Upkeep, max_message_size: int | None) -> None:
        super().__init__(upkeep)
        self._max_message_size = max_message_size
        self._opening: Opening | None = None
        self._is_over = False
        self._closed_by_app = False
        self._task: asyncio.Task[None] | None = None
        self._said_connect = False
        self._is_answering = False
        self._end_code = 0
        self._end_reason = ""
        self._shutting_down = False
        self._callbacks: list[Callable[[int, str], None]] | None = None
        self.user: str | None = None
        """To whom it belongs, where rooms or the app have said so."""

    # What the class that a server loads fills in.

    def requested(self, data: bytes) -> None:
        """Take the request, which is the first thing that comes."""

    def answered(self, status: int) -> None:
        """Note that the handshake was answered: with 101, or a refusal."""

    def response_headers(self) -> list[tuple[bytes, bytes]]:
        """Give the headers that the server adds to every response."""
        return []

    def agree_on_deflate(self, handshake: ServerHandshake) -> DeflateAgreement | None:
        """Agree on compression, where the client offers it."""
        return handshake.accept_deflate(self._upkeep.settings.deflate)

    def returned(self, task: asyncio.Task[None]) -> None:
        """Note that the app has returned."""

    def gone(self) -> None:
        """Note that the transport is no more, and that the app has returned."""

    # The transport's side: asyncio.Protocol.

    def eof_received(self) -> bool:
        """Take the end of what the peer sends, and say whether there is something to be sent to it still."""
        self._peer_has_shut = True
        if self._ending is None and self._is_open:
            self._ending = Close(CloseCode.ABNORMAL, "")
            self._end_when_answered()
        return self._ending is not None and self._transport.can_write_eof()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Take the end of the transport."""
        self._is_lost = True
        ending = self._ending
        self._ending = None
        if ending is None:
            self.become_over(CloseCode.ABNORMAL, "")
        else:
            self.become_over(ending.code, ending.reason)
        self._upkeep.answers.discard(self)
        self._outbox.clear()
        tally.lost(self, self._end_code)
        if not self._shutting_down:
            self._upkeep.closings.discard(self)
        if self._task is None:
            self._finished()

    def shutdown(self) -> None:
        """Be seen off, because the server goes."""
        self._shutting_down = True
        self._upkeep.drain.add(self)

    def depart(self) -> None:
        """Close politely; what is queued drains until the deadline."""
        self.end(503, RESTART, CloseCode.SERVICE_RESTART)
        self._upkeep.closings.add(self)

    # The opening.

    def ask(self, handshake: ServerHandshake, app: Any, scope: dict[str, Any]) -> asyncio.Task[None]:  # noqa: ANN401
        """Have the app answer a handshake, in a task, which is given."""
        self._opening = Opening(self, handshake, self._upkeep, self._max_message_size, scope)
        self._task = self._upkeep.loop.create_task(run_app(app, scope, self))
        self._task.add_done_callback(self._app_done)
        return self._task

    def refuse(self, refusal: Refusal) -> None:
        """Refuse a request that opens no WebSocket: no app is asked."""
        tally.handshakes["draining" if refusal.status == 503 else "invalid"] += 1
        headers = (*refusal.headers, *self.response_headers())
        self.write(Refusal(refusal.status, refusal.text, headers).response())
        self.become_over(CloseCode.ABNORMAL, "")
        self.close_transport()

    def open(self, connection: Connection, *, may_be_deflated: bool) -> None:
        """Be open: the handshake was accepted."""
        self._connection = connection
        self._may_be_deflated = may_be_deflated
        self._opening = None
        self._is_open = True
        self._outbox.forget_written()
        tally.connections.add(self)
        self._upkeep.keepalive.start(self)

    def is_opening(self) -> bool:
        """Whether the handshake is not answered yet, or not to the end."""
        return self._opening is not None

    def opening_is_late(self) -> None:
        """The app has not answered the handshake in time."""
        logger.warning("the app did not answer a handshake within %g s", self._upkeep.settings.handshake_timeout)
        counts[Reason.HANDSHAKE_TIMEOUT] += 1
        self.end(503, "The application did not answer in time.", CloseCode.ABNORMAL)

    def _receive_early(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._opening is None:
            self.requested(data)
        elif not self._opening.receive_early(data):
            counts[Reason.EARLY_DATA] += 1
            self._transport.abort()

    def _app_done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        self.returned(task)
        if self._is_lost:
            self._finished()

    # The app's side: ASGI.

    async def receive(self) -> dict[str, Any]:
        """Give the next event: the connect, a message, or the disconnect, that as often as it is asked for."""
        if not self._said_connect:
            self._said_connect = True
            return {"type": "websocket.connect"}
        self._is_answering = False
        while self._inbox.is_empty():
            if self._ending is not None:
                self.answer_is_late()
            if self._is_over:
                return {"type": "websocket.disconnect", "code": self._end_code, "reason": self._end_reason}
            await self._inbox.wait()
        self._is_answering = True
        message = self._inbox.take()
        if self._reading_paused and self._inbox.has_room():
            self._resume_reading()
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def send(self, event: dict[str, Any]) -> None:
        """Do what an event says. Waits while the peer does not read, `send_timeout` at most.

        Raises:
            InvalidEvent: for an unknown or malformed event, or one that does not fit the state.
            HandshakeError: for an answer to the handshake that cannot be given.
            Disconnected: if the connection is over.
        """
        self._do(event)
        if self._outbox.is_full():
            await self._drain()

    def _do(self, event: dict[str, Any]) -> None:
        given: dict[str, Any] = event if type(event) is dict else dict(event)
        kind = given.get("type")
        if self._is_open and kind == "websocket.send":
            message = given.get("text")
            if message is None or not isinstance(message, str) or given.get("bytes") is not None:
                message = message_of(event)
            if isinstance(message, str):
                self._outbox.put(self._connection.send_text(message))
            else:
                self._outbox.put(self._connection.send_bytes(message))
            self._messages_out += 1
        elif self._is_open and kind == "websocket.close":
            code, reason = close_of(event)
            self._send_close(code, reason)
            self._closed_by_app = True
            self._inbox.clear()
        elif self._is_open:
            raise misplaced(event, "open")
        elif self._closed_by_app:
            raise misplaced(event, "closed")
        elif self._is_over or self._opening is None:
            raise Disconnected(self._end_code, self._end_reason)
        else:
            self._opening.send(event)
            self._closed_by_app = self._is_over and self._connection is None

    async def _drain(self) -> None:
        if not await self.drained():
            self.close(CloseCode.TOO_SLOW, "too slow: come back and resume")
        if self._is_over and not self._closed_by_app:
            raise Disconnected(self._end_code, self._end_reason)

    # The rooms' side: an outlet.

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken: the connection is over."""
        return self._is_over

    def offer(self, message: PreparedMessage, recipient: Recipient | None = None) -> bool:
        """Take a message made for many, and say whether it was taken.

        Args:
            message: the message.
            recipient: for whom it is, with what is done where too much waits; None: the connection is closed.
        """
        if not self._is_open:
            return False
        # Where nothing is deflated, the frame is the same for all, and this member's protocol need not be asked.
        frame = self._connection.send_prepared(message) if self._may_be_deflated else message.frame()
        if self._outbox.offer(frame, recipient):
            self._messages_out += 1
            return True
        if recipient is None or recipient.policy is SlowPolicy.DISCONNECT:
            self._too_slow()
        return False

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection, without waiting. What waits for a peer that does not keep up is dropped."""
        if self._is_open:
            if code == CloseCode.TOO_SLOW:
                counts[Reason.SLOW] += 1
            frame = self._connection.send_close(code, reason)
            if self._outbox.paused:
                self._outbox.clear()
            self._closing(frame, code, reason)

    def _too_slow(self) -> None:
        waiting = self._outbox.size()
        self.close(CloseCode.TOO_SLOW, f"too slow: {waiting} bytes are waiting; come back and resume")

    def on_close(self, callback: Callable[[int, str], None]) -> None:
        """Have `callback` called, once, with code and reason, when the connection is over for whatever cause."""
        if self._is_over:
            self._upkeep.loop.call_soon(callback, self._end_code, self._end_reason)
            return
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    async def finish(self) -> None:
        """Call nobody any more: the rooms are done with it."""
        self._callbacks = None

    # The end.

    def lose(self) -> None:
        """Count the connection as lost."""
        logger.debug("no answer to a ping in time: the connection counts as lost")
        counts[Reason.SILENT] += 1
        self.become_over(CloseCode.ABNORMAL, "no answer to a ping")
        self._transport.abort()

    @property
    def end_code(self) -> int | None:
        """How the connection ended, for the app; None before."""
        return self._end_code if self._is_over else None

    def end(self, status: int, text: str, code: int) -> None:
        """End the connection from this side: refuse it with `status`, or close it with `code`, whichever fits."""
        if self._opening is not None:
            self._opening.refuse(status, text, code)
        elif self._is_open:
            self._send_close(code, text if code == CloseCode.SERVICE_RESTART else "")

    def become_over(self, code: int, reason: str) -> None:
        """Tell the app, and the rooms, that the connection is over; in vain the second time."""
        if self._is_over:
            return
        self._is_over = True
        if self._opening is not None:
            self._opening.abandon()
        self._is_open = False
        self._opening = None
        self._end_code = int(code)
        self._end_reason = reason
        self._upkeep.keepalive.stop(self)
        self._upkeep.openings.discard(self)
        self._upkeep.messages.discard(self)
        self._inbox.wake()
        if self._senders is not None:
            self._senders.wake()
        callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            tell_of_the_end(callbacks, self._end_code, reason)

    def answer_is_late(self) -> None:
        """Answer the peer's close, or its error, whatever the app still has to say."""
        ending = self._ending
        if ending is None:
            return
        self._ending = None
        self._upkeep.answers.discard(self)
        self._outbox.put(self._connection.data_to_send())
        self.become_over(ending.code, ending.reason)
        if isinstance(ending, ProtocolError):
            logger.debug("the peer broke the protocol: %s", ending)
            counts[reason_of(ending)] += 1
            self._half_close()
        else:
            self.close_transport()

    def closing_is_late(self) -> None:
        """The peer did not end the connection in time, or the app did not when the server went."""
        super().closing_is_late()
        if self._shutting_down and self._task is not None:
            logger.warning("the server goes, and an app goes on without its connection: it is cancelled")
            self._task.cancel()

    def _end_when_answered(self) -> None:
        """Answer the peer's close, or its error, once the app has answered what came before it."""
        if self._is_open and (self._is_answering or not self._inbox.is_empty()):
            self._upkeep.answers.add(self)
        else:
            self.answer_is_late()

    def _send_close(self, code: int, reason: str) -> None:
        self._closing(self._connection.send_close(code, reason), code, reason)

    def _closing(self, frame: bytes, code: int, reason: str) -> None:
        """Begin the closing handshake: for the app it is over; the wire waits for the peer's close frame."""
        self._outbox.put(frame)
        self._upkeep.closings.add(self)
        self.become_over(code, reason)
        if self._reading_paused:
            self._resume_reading()
        if self._ending is not None:
            self.answer_is_late()

    def _finished(self) -> None:
        self._upkeep.closings.discard(self)
        self._upkeep.drain.discard(self)
        self.gone()
