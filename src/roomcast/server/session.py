"""Session: one connection, from its request to its end, as the pair of `receive` and `send` that ASGI knows.

To the transport it is a protocol of asyncio's, to the app it is `receive` and `send`, and to rooms it is an outlet.
A session is, one after the other: asked (the app has not answered the handshake), perhaps denying (the app answers
with an HTTP response), open, and over. Over is what the app sees: the wire may still wait for the peer's close frame.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from roomcast.close_codes import CloseCode
from roomcast.errors import Disconnected, InvalidEvent, ProtocolError
from roomcast.protocol.connection import Connection, State
from roomcast.protocol.events import Close
from roomcast.protocol.handshake import Refusal, denial_head
from roomcast.protocol.sending import Role
from roomcast.server.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.protocol.events import Event
    from roomcast.protocol.handshake import ServerHandshake
    from roomcast.protocol.negotiation import DeflateAgreement
    from roomcast.protocol.prepared import PreparedMessage
    from roomcast.server.upkeep import Upkeep

logger = logging.getLogger("roomcast.server")

ASKED, DENYING, OPEN, OVER = 0, 1, 2, 3

MESSAGE_OVERHEAD = 64
"""What a waiting message counts beside its length, so that a flood of empty ones is bounded, too."""
MAX_EARLY_BYTES = 64 * 1024
"""How much a client may send before its handshake is answered; RFC 6455 has it send nothing."""


class Session:
    """One connection of a server.

    Args:
        upkeep: what it shares with the server's other connections.
        max_message_size: the most bytes in a message that comes, or None.
    """

    __slots__ = (
        "_callbacks",
        "_connection",
        "_denial",
        "_drainers",
        "_early",
        "_end_code",
        "_end_reason",
        "_ending",
        "_handshake",
        "_inbox",
        "_inbox_bytes",
        "_is_answering",
        "_is_silent",
        "_max_message_size",
        "_other_waiters",
        "_outbox",
        "_reading_paused",
        "_said_connect",
        "_shutting_down",
        "_state",
        "_task",
        "_transport",
        "_upkeep",
        "_waiter",
    )

    def __init__(self, upkeep: Upkeep, max_message_size: int | None) -> None:
        self._upkeep = upkeep
        self._max_message_size = max_message_size
        self._state = ASKED
        self._transport: Any = None
        self._outbox: Outbox = None  # type: ignore[assignment] - there is one as soon as there is a transport
        self._connection: Connection = None  # type: ignore[assignment] - there is one as soon as it is open
        self._handshake: ServerHandshake | None = None
        self._denial: bytes | None = None
        self._early = b""
        self._task: asyncio.Task[None] | None = None
        self._said_connect = False
        self._inbox: deque[str | bytes] = deque()
        self._inbox_bytes = 0
        self._reading_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._other_waiters: list[asyncio.Future[None]] | None = None
        self._drainers: list[asyncio.Future[None]] | None = None
        self._is_answering = False
        self._is_silent = False
        self._ending: Event | None = None
        self._end_code = 0
        self._end_reason = ""
        self._shutting_down = False
        self._callbacks: list[Callable[[int, str], None]] | None = None

    # What a server class fills in.

    def requested(self, data: bytes) -> None:
        """Take the request, which is the first thing that comes."""

    def answered(self, status: int) -> None:
        """Note that the handshake was answered: with 101, or a refusal."""

    def response_headers(self) -> list[tuple[bytes, bytes]]:
        """Give the headers that the server adds to every response."""
        return []

    def deflate_agreement(self, handshake: ServerHandshake) -> DeflateAgreement | None:
        """Agree on compression, or not."""
        return None

    def over(self) -> None:
        """Note that the transport is gone."""

    # The transport's side: asyncio.Protocol.

    def connection_made(self, transport: Any) -> None:
        """Take the transport."""
        self._transport = transport
        self._outbox = Outbox(transport, self._upkeep.flusher, self._upkeep.settings.outbound_bytes)

    def data_received(self, data: bytes) -> None:
        """Take what came from the peer."""
        self._is_silent = False
        connection = self._connection
        if connection is None:
            self._received_early(data)
            return
        for event in connection.receive_data(data):
            if isinstance(event, (str, bytes)):
                if self._state == OPEN:
                    self._inbox.append(event)
                    self._inbox_bytes += len(event) + MESSAGE_OVERHEAD
            elif isinstance(event, (Close, ProtocolError)):
                self._ending = event
        if self._inbox:
            self._wake()
            if self._inbox_bytes >= self._upkeep.settings.inbound_bytes and not self._reading_paused:
                self._reading_paused = True
                self._transport.pause_reading()
        if self._ending is not None:
            self._end_if_answered()
        elif connection.has_replies():
            self._outbox.put(connection.data_to_send())

    def eof_received(self) -> bool:
        """Take the end of what the peer sends: asyncio closes the transport."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Take the end of the transport."""
        upkeep = self._upkeep
        upkeep.keepalive.stop(self)
        upkeep.openings.discard(self)
        upkeep.answers.discard(self)
        if not self._shutting_down or self._task is None:
            upkeep.closings.discard(self)
        self._outbox.clear()
        ending, self._ending = self._ending, None
        if self._state != OVER:
            if ending is None:
                self._become_over(CloseCode.ABNORMAL, "")
            else:
                self._become_over(ending.code, ending.reason)
        self._let_senders_go()
        self.over()

    def pause_writing(self) -> None:
        """The peer does not keep up."""
        self._outbox.paused = True

    def resume_writing(self) -> None:
        """The peer keeps up again."""
        self._outbox.paused = False
        self._outbox.flush()
        if not self._outbox.paused:
            self._let_senders_go()

    def shutdown(self) -> None:
        """Close politely, because the server goes: the app is told, and what is queued drains until the deadline."""
        self._shutting_down = True
        self._upkeep.closings.add(self)
        if self._state == ASKED:
            self._refuse(503, "The server restarts.")
            self._become_over(CloseCode.SERVICE_RESTART, "the server restarts")
        elif self._state == OPEN:
            self._send_close(CloseCode.SERVICE_RESTART, "the server restarts")

    # The opening.

    def ask(self, handshake: ServerHandshake, app: Any, scope: dict[str, Any]) -> asyncio.Task[None]:
        """Have the app answer a handshake, in a task, which is given."""
        self._handshake = handshake
        self._upkeep.openings.add(self)
        self._task = self._upkeep.loop.create_task(self._run(app, scope))
        return self._task

    def refuse(self, refusal: Refusal) -> None:
        """Refuse a request that opens no WebSocket; no app is asked."""
        self._state = OVER
        self._outbox.put(refusal.response())
        self._close_transport()

    def opening_is_late(self) -> None:
        """The app has not answered the handshake in time."""
        logger.warning("the app did not answer a handshake within %g s", self._upkeep.settings.handshake_timeout)
        self._refuse(503, "The application did not answer in time.")
        self._become_over(CloseCode.ABNORMAL, "")

    async def _run(self, app: Any, scope: dict[str, Any]) -> None:
        try:
            result = await app(scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the peer is to be told
            self._app_raised(error)
        else:
            self._app_returned(result)
        finally:
            self._task = None
            if self._shutting_down:
                self._upkeep.closings.discard(self)
                if self._transport is not None and not self._transport.is_closing():
                    self._upkeep.closings.add(self)

    def _app_raised(self, error: BaseException) -> None:
        if self._state == OVER and self._tells_the_end(error):
            logger.debug("the app let the disconnect through: %r", error)
        elif isinstance(error, asyncio.CancelledError):
            logger.debug("the app was cancelled")
        else:
            logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=error)
        if self._state == ASKED:
            self._refuse(500, "Internal Server Error")
            self._become_over(CloseCode.ABNORMAL, "")
        elif self._state == DENYING:
            self._become_over(CloseCode.ABNORMAL, "")
            self._close_transport()
        elif self._state == OPEN:
            self._send_close(CloseCode.INTERNAL_ERROR, "")

    def _tells_the_end(self, error: BaseException | None) -> bool:
        """Whether an exception is, or was made of, the one that told the app of the disconnect."""
        while error is not None:
            if isinstance(error, Disconnected) or getattr(error, "code", None) == self._end_code:
                return True
            error = error.__cause__ or error.__context__
        return False

    def _app_returned(self, result: object) -> None:
        if result is not None:
            logger.error("an ASGI app returns None, but this one returned %r", result)
        if self._state == ASKED:
            logger.error("the app returned without an answer to the handshake")
            self._refuse(500, "Internal Server Error")
            self._become_over(CloseCode.ABNORMAL, "")
        elif self._state == DENYING:
            logger.error("the app returned without the end of its response")
            self._become_over(CloseCode.ABNORMAL, "")
            self._close_transport()
        elif self._state == OPEN:
            self._send_close(CloseCode.NORMAL, "")

    def _received_early(self, data: bytes) -> None:
        if self._handshake is None and self._state == ASKED:
            self.requested(data)
        elif self._state == ASKED and len(self._early) + len(data) <= MAX_EARLY_BYTES:
            self._early += data
        elif self._state == ASKED:
            self._become_over(CloseCode.ABNORMAL, "")
            self._transport.abort()

    def _refuse(self, status: int, text: str) -> None:
        self.answered(status)
        self._outbox.put(Refusal(status, text, tuple(self.response_headers())).response())
        self._close_transport()

    # The app's side.

    async def receive(self) -> dict[str, Any]:
        """Give the next ASGI event: a message, or how the connection ended, as often as it is asked for."""
        if not self._said_connect:
            self._said_connect = True
            return {"type": "websocket.connect"}
        self._is_answering = False
        while not self._inbox:
            if self._ending is not None:
                self._end_if_answered()
            if self._state == OVER:
                return {"type": "websocket.disconnect", "code": self._end_code, "reason": self._end_reason}
            await self._something()
        return self._take()

    def _take(self) -> dict[str, Any]:
        message = self._inbox.popleft()
        self._is_answering = True
        self._inbox_bytes -= len(message) + MESSAGE_OVERHEAD
        if self._reading_paused and self._inbox_bytes * 2 <= self._upkeep.settings.inbound_bytes:
            self._resume_reading()
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    def _something(self) -> asyncio.Future[None]:
        """Give a future that is done when there is something to receive."""
        waiter: asyncio.Future[None] = self._upkeep.loop.create_future()
        if self._waiter is None or self._waiter.done():
            self._waiter = waiter
        elif self._other_waiters is None:
            self._other_waiters = [waiter]
        else:
            self._other_waiters.append(waiter)
        return waiter

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        if self._other_waiters is not None:
            others, self._other_waiters = self._other_waiters, None
            for other in others:
                if not other.done():
                    other.set_result(None)

    async def send(self, event: dict[str, Any]) -> None:
        """Do what an ASGI event says. Waits where the peer does not read.

        Raises:
            InvalidEvent: for an unknown or malformed event, or one that does not fit the state.
            Disconnected: if the connection is over.
        """
        if self._state == OPEN and event.get("type") == "websocket.send":
            self._outbox.put(self._message_frame(event))
            if self._outbox.is_full():
                await self._drain()
        else:
            self._send_other(event)
            if self._outbox.is_full():
                await self._drain()

    def _message_frame(self, event: dict[str, Any]) -> bytes:
        text = event.get("text")
        data = event.get("bytes")
        if data is None and isinstance(text, str):
            return self._connection.send_text(text)
        if text is None and isinstance(data, (bytes, bytearray, memoryview)):
            return self._connection.send_bytes(bytes(data))
        given = f"text {type(text).__name__} and bytes {type(data).__name__}"
        raise InvalidEvent(f"'websocket.send' takes exactly one of text (a str) and bytes; here: {given}")

    def _send_other(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if self._state == OVER:
            raise Disconnected(self._end_code, self._end_reason)
        if self._state == ASKED and kind == "websocket.accept":
            self._accept(event)
        elif self._state == ASKED and kind == "websocket.close":
            self._refuse(403, "Forbidden")
            self._become_over(CloseCode.ABNORMAL, "")
        elif self._state == ASKED and kind == "websocket.http.response.start":
            self._begin_denial(event)
        elif self._state == DENYING and kind == "websocket.http.response.body":
            self._continue_denial(event)
        elif self._state == OPEN and kind == "websocket.close":
            code, reason = event.get("code", CloseCode.NORMAL), event.get("reason") or ""
            if not isinstance(code, int) or not isinstance(reason, str):
                raise InvalidEvent(f"'websocket.close' takes code (an int) and reason (a str), not {event!r}")
            self._inbox.clear()
            self._send_close(code, reason)
        else:
            raise InvalidEvent(_MISPLACED[self._state].format(kind=kind))

    def _accept(self, event: dict[str, Any]) -> None:
        assert self._handshake is not None
        subprotocol = event.get("subprotocol")
        if subprotocol is not None and not isinstance(subprotocol, str):
            raise InvalidEvent(f"'websocket.accept' takes subprotocol (a str or None), not {subprotocol!r}")
        deflate = self.deflate_agreement(self._handshake)
        headers = self.response_headers() + _headers(event)
        response = self._handshake.response(subprotocol=subprotocol, deflate=deflate, headers=headers)
        settings = self._upkeep.settings
        self._connection = Connection(
            Role.SERVER,
            max_message_size=self._max_message_size,
            max_fragments=settings.max_fragments,
            max_control_frames=settings.max_control_frames,
            clock=self._upkeep.timer.now,
            deflate=None if deflate is None else deflate.parameters,
        )
        self._handshake = None
        self._state = OPEN
        self._upkeep.openings.discard(self)
        self._upkeep.keepalive.start(self)
        self._outbox.put(response)
        self.answered(101)
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)

    def _begin_denial(self, event: dict[str, Any]) -> None:
        status = event.get("status")
        if not isinstance(status, int):
            raise InvalidEvent(f"'websocket.http.response.start' takes status (an int), not {status!r}")
        self._denial = denial_head(status, self.response_headers() + _headers(event))
        self._state = DENYING
        self._upkeep.openings.discard(self)
        self.answered(status)

    def _continue_denial(self, event: dict[str, Any]) -> None:
        body = event.get("body", b"")
        if not isinstance(body, bytes):
            raise InvalidEvent(f"'websocket.http.response.body' takes body (bytes), not {type(body).__name__}")
        head, self._denial = self._denial, None
        self._outbox.put((head or b"") + body)
        if not event.get("more_body", False):
            self._become_over(CloseCode.ABNORMAL, "")
            self._close_transport()

    async def _drain(self) -> None:
        """Wait until the peer keeps up, or the deadline for that is over."""
        self._outbox.flush()
        if not self._outbox.paused:
            return
        drainer: asyncio.Future[None] = self._upkeep.loop.create_future()
        if self._drainers is None:
            self._drainers = []
        self._drainers.append(drainer)
        try:
            async with asyncio.timeout(self._upkeep.settings.send_timeout):
                await drainer
        except TimeoutError:
            self.close(CloseCode.TOO_SLOW, "too slow: come back and resume")
        if self._state == OVER and self._outbox.paused:
            raise Disconnected(self._end_code, self._end_reason)

    def _let_senders_go(self) -> None:
        if self._drainers is not None:
            drainers, self._drainers = self._drainers, None
            for drainer in drainers:
                if not drainer.done():
                    drainer.set_result(None)

    # The rooms' side: an outlet.

    @property
    def queued_bytes(self) -> int:
        """How many bytes wait for the peer."""
        return 0 if self._transport is None else self._outbox.size()

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._state != OPEN

    def offer(self, message: PreparedMessage) -> bool:
        """Take a message made for many, and say whether it was taken."""
        if self._state != OPEN:
            return False
        if self._outbox.offer(self._connection.send_prepared(message)):
            return True
        waiting = self._outbox.size()
        self.close(CloseCode.TOO_SLOW, f"too slow: {waiting} bytes are waiting; come back and resume")
        return False

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection: what is queued is dropped."""
        if self._state == OPEN:
            self._outbox.clear()
            self._send_close(code, reason)

    def on_close(self, callback: Callable[[int, str], None]) -> None:
        """Have `callback` called, once, with code and reason, when the connection is over for whatever cause."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    async def finish(self) -> None:
        """Tell nobody any more."""
        self._callbacks = None

    # The keepalive's side.

    def ping(self) -> None:
        """Send a ping, unless there is something more important to say."""
        self._is_silent = True
        if self._state == OPEN and not self._outbox.paused:
            self._outbox.put(self._connection.send_ping())

    def is_silent(self) -> bool:
        """Whether nothing has come since the last ping, though it would have been read."""
        return self._is_silent and not self._reading_paused

    def lose(self) -> None:
        """The peer does not answer: count it as lost."""
        logger.debug("no answer to a ping in time: the connection counts as lost")
        self._become_over(CloseCode.ABNORMAL, "no answer to a ping")
        self._transport.abort()

    # The end.

    def _end_if_answered(self) -> None:
        """Answer the peer's close, or its error, once the app has answered what came before it."""
        if self._inbox or self._is_answering:
            self._upkeep.answers.add(self)
        else:
            self.answer_is_late()

    def answer_is_late(self) -> None:
        """Answer the peer's close, or its error, whatever the app still has to say."""
        ending, self._ending = self._ending, None
        if ending is None:
            return
        self._upkeep.answers.discard(self)
        self._outbox.put(self._connection.data_to_send())
        if isinstance(ending, ProtocolError):
            logger.debug("the peer broke the protocol: %s", ending)
        self._become_over(ending.code, ending.reason)
        self._close_transport(linger=isinstance(ending, ProtocolError))

    def _send_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake: for the app it is over, the wire waits for the peer's close frame."""
        frame = self._connection.send_close(code, reason)
        self._outbox.put(frame)
        self._upkeep.closings.add(self)
        self._become_over(code, reason)
        if self._reading_paused:
            self._resume_reading()
        if self._connection.state == State.CLOSED:
            self._close_transport()

    def _become_over(self, code: int, reason: str) -> None:
        if self._state == OVER:
            return
        self._state = OVER
        self._end_code = int(code)
        self._end_reason = reason
        self._handshake = None
        self._upkeep.keepalive.stop(self)
        self._upkeep.openings.discard(self)
        self._wake()
        callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            for callback in callbacks:
                callback(self._end_code, reason)

    def _close_transport(self, *, linger: bool = False) -> None:
        """Write what waits, and close the socket, at the deadline at the latest.

        Lingering means that the peer may still be sending: closing a socket with unread data in it makes the kernel
        throw away what the peer has not read yet, the close frame included. So only this side is closed at first.
        """
        self._upkeep.closings.add(self)
        self._outbox.paused = False  # all of it is the transport's now
        self._outbox.flush()
        if linger and self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def closing_is_late(self) -> None:
        """The peer did not end the connection in time, or the app did not end at the server's shutdown."""
        self._transport.abort()
        if self._shutting_down and self._task is not None:
            logger.warning("an app goes on after its connection's end: it is cancelled, since the server goes")
            self._task.cancel()

    def _resume_reading(self) -> None:
        self._reading_paused = False
        self._transport.resume_reading()


_MISPLACED = {
    ASKED: (
        "{kind!r} does not fit here: the handshake is not answered; "
        "expected 'websocket.accept', 'websocket.close' or 'websocket.http.response.start'"
    ),
    DENYING: "{kind!r} does not fit here: the handshake is refused; expected 'websocket.http.response.body'",
    OPEN: "{kind!r} does not fit here: the connection is open; expected 'websocket.send' or 'websocket.close'",
}


def _headers(event: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    headers = event.get("headers") or ()
    try:
        pairs = [(name, value) for name, value in headers]
    except (TypeError, ValueError):
        raise InvalidEvent(f"{event['type']!r} takes headers as pairs of bytes, not {headers!r}") from None
    if not all(isinstance(part, bytes) for pair in pairs for part in pair):
        raise InvalidEvent(f"{event['type']!r} takes headers as pairs of bytes, not {headers!r}")
    return pairs
