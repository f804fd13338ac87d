"""Reading: receiving for a handler that is busy with something else, so that the end of its connection is seen.

A server whose outlet tells of the end needs none of it. On any other, a disconnect is an event that waits until
somebody calls `receive`, and a handler that only sends, or waits for something else, never does.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from roomcast.close_codes import CloseCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("roomcast.rooms")

READING = "roomcast.reading"
"""Where a connection's reading is in its scope."""
ABSENCE = 0.1
"""How many seconds a handler may be busy with something else before its connection is read for it."""
MESSAGES_AHEAD = 16
"""How many messages are read ahead of a handler."""
BYTES_AHEAD = 1 << 16
"""How many bytes of messages are read ahead of a handler: a message that begins under the bound is read."""
ANSWER_TIMEOUT = 1.0
"""How many seconds a handler has, after its peer has gone, to answer what came before."""


class Reading:
    """The ASGI `receive` of one connection.

    A handler that receives gets what comes straight from the server. Once it is watched, and the handler has been
    away for a moment, what comes is received for it, up to a bound, and kept for it in order: so a disconnect is
    seen, and what a handler never takes still holds back the peer. A disconnect behind more than the bound is not.

    Args:
        receive: the ASGI receive callable underneath.
    """

    def __init__(self, receive: Receive) -> None:
        self.source = receive
        self.accepted = False
        """Whether the connection was accepted, as far as that was seen around the app, or by a join."""
        self._on_end: Callable[[int, str], None] | None = None
        self._over = False
        self._interruption: Message | None = None
        self._ahead: deque[Message] = deque()
        self._bytes_ahead = 0
        self._receivers = 0
        self._is_answering = False
        self._waits: set[asyncio.Timeout] = set()
        self._reader: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def has_more(self) -> bool:
        """Whether something that was read ahead waits for the handler, be it the end."""
        return bool(self._ahead)

    def watch(self, on_end: Callable[[int, str], None]) -> None:
        """Call `on_end`, once, with code and reason, as soon as it is seen that the peer has gone."""
        self._on_end = on_end
        self._look_later()

    def unwatch(self) -> None:
        """Read no more ahead. What was read is kept for the handler."""
        self._on_end = None
        self._stop()

    def interrupt(self, code: int, reason: str) -> None:
        """End the connection for whoever receives, now and later: it is closed, whatever may still come."""
        self._interruption = {"type": "websocket.disconnect", "code": int(code), "reason": reason}
        self._over = True
        self._ahead.clear()
        self._stop()
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            wait.reschedule(now)
        self._waits.clear()

    async def receive(self) -> Message:
        """Give the next event, as ASGI's `receive` does."""
        if self._interruption is not None:
            return dict(self._interruption)
        self._receivers += 1
        self._is_answering = False
        wait = asyncio.timeout(None)  # it tells an interruption from every other cancellation
        try:
            async with wait:
                self._waits.add(wait)
                event = await self._next()
        except TimeoutError:
            if self._interruption is None:
                raise  # the server's own
            event = dict(self._interruption)
        finally:
            self._waits.discard(wait)
            self._receivers -= 1
            self._look_later()
        self._is_answering = event["type"] == "websocket.receive"
        if event["type"] == "websocket.disconnect":
            self._ended(event)
        return event

    async def _next(self) -> Message:
        while not self._ahead:
            if self._reader is None:
                return await self.source()
            await asyncio.wait([self._reader])
        event = self._ahead.popleft()
        self._bytes_ahead -= _size(event)
        return event

    def _look_later(self) -> None:
        if self._timer is None and self._may_read():
            self._timer = asyncio.get_running_loop().call_later(ABSENCE, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._may_read():
            self._reader = asyncio.create_task(self._read())

    def _may_read(self) -> bool:
        return (
            self._on_end is not None
            and not self._over
            and not self._receivers
            and self._reader is None
            and len(self._ahead) < MESSAGES_AHEAD
            and self._bytes_ahead < BYTES_AHEAD
        )

    async def _read(self) -> None:
        """Receive until the handler is back, or enough is there for it."""
        try:
            while not self._receivers and len(self._ahead) < MESSAGES_AHEAD and self._bytes_ahead < BYTES_AHEAD:
                event = await self.source()
                self._ahead.append(event)
                self._bytes_ahead += _size(event)
                if event["type"] == "websocket.disconnect":
                    self._read_the_end(event)
                    break
        except Exception as error:  # noqa: BLE001 - servers have many ways to say that there is nothing to receive
            logger.debug("the server gave nothing to read ahead: %r", error)
            self._on_end = None
        finally:
            self._reader = None

    def _read_the_end(self, event: Message) -> None:
        """The peer has gone. What came before it is answered before it, where the handler does so in time."""
        self._over = True
        if self._is_answering or len(self._ahead) > 1:
            self._timer = asyncio.get_running_loop().call_later(ANSWER_TIMEOUT, self._ended, event)
        else:
            self._ended(event)

    def _ended(self, event: Message) -> None:
        self._over = True
        self._stop_timer()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(event.get("code") or CloseCode.NO_STATUS, event.get("reason") or "")

    def finish(self) -> None:
        """The app has returned: the connection ends, whether anybody receives that or not."""
        self._stop()
        self._ended({"type": "websocket.disconnect", "code": CloseCode.ABNORMAL})

    def _stop(self) -> None:
        self._stop_timer()
        if self._reader is not None:
            self._reader.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def is_needed(scope: Scope) -> bool:
    """Whether rooms have no other way to see a connection of this scope end."""
    return READING not in scope and "roomcast.outlet" not in (scope.get("extensions") or {})


def read_ahead(app: ASGIApp) -> ASGIApp:
    """Give `app` with the end of each of its WebSockets seen, whatever receives within it."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or not is_needed(scope):
            await app(scope, receive, send)
            return
        reading = Reading(receive)

        async def noting(event: Any) -> None:  # noqa: ANN401 - an ASGI event
            await send(event)
            if event["type"] == "websocket.accept":
                reading.accepted = True

        try:
            await app({**scope, READING: reading}, reading.receive, noting)
        finally:
            reading.finish()

    return wrapped


def _size(event: Message) -> int:
    data = event.get("text") or event.get("bytes") or b""
    return len(data)
