"""Outlet: how a message reaches one connection. The one seam between rooms and a server."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from roomcast.backlog import MESSAGE_BYTES, Backlog, SlowPolicy
from roomcast.close_codes import CloseCode
from roomcast.counts import Reason, counts
from roomcast.rooms.turns import turns_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope, Send

    from roomcast.backlog import Recipient
    from roomcast.protocol.prepared import PreparedMessage
    from roomcast.rooms.turns import Turns

logger = logging.getLogger("roomcast.rooms")

OUTBOX_BYTES = 1 << 20
"""How many bytes of messages may wait for a connection."""
CLOSE_TIMEOUT = 5.0
"""How many seconds a closed outlet tries to get its close frame out."""


class Outlet(Protocol):
    """One connection's way out.

    Attributes:
        bound: how many bytes of messages may wait.
    """

    bound: int

    @property
    def queued_bytes(self) -> int:
        """How many bytes of messages wait to be written."""

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken."""

    def offer(self, message: PreparedMessage, recipient: Recipient | None = None) -> bool:
        """Take a message, without waiting, and say whether it was taken.

        Messages go out in the order of the offers. What becomes of a message that no longer fits the bound is the
        recipient's policy; without a recipient it closes the outlet. One that comes while nothing waits always
        fits.
        """

    async def drained(self) -> object:
        """Wait until the peer keeps up, or the outlet has closed."""

    async def finish(self) -> None:
        """Call nobody back any more: the rooms are done with the connection."""

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection, without waiting. What is still queued is dropped."""

    def on_close(self, callback: Callable[[int, str], None]) -> None:
        """Have `callback` called, once, with code and reason, when the outlet has closed for whatever cause."""


class ServerOutlet(Outlet, Protocol):
    """The outlet that a server offers in the scope: `scope["extensions"]["roomcast.outlet"]["outlet"]`.

    Attributes:
        user: whose connection it is, for the server's log.
    """

    user: str | None

    def is_opening(self) -> bool:
        """Whether the handshake is not answered yet."""


def server_outlet(scope: Scope) -> ServerOutlet | None:
    """Give the outlet that the server offers, if it offers one."""
    outlet: ServerOutlet | None = (scope.get("extensions") or {}).get("roomcast.outlet", {}).get("outlet")
    return outlet


class AsgiOutlet:
    """An outlet on the plain ASGI `send` of any server: a bounded queue, written to that in a task.

    Args:
        send: the ASGI send callable of an accepted connection.
        bound: how many bytes may wait.
    """

    __slots__ = (
        "_callbacks",
        "_closed",
        "_first",
        "_first_recipient",
        "_has_a_turn",
        "_in_flight",
        "_queue",
        "_send",
        "_turns",
        "_writer",
        "bound",
    )

    def __init__(self, send: Send, *, bound: int = OUTBOX_BYTES) -> None:
        self._send = send
        self.bound = bound
        self._first: PreparedMessage | None = None
        """What waits while nothing else does: mostly, so that a large room costs no queues."""
        self._first_recipient: Recipient | None = None
        self._queue: Backlog[PreparedMessage] = Backlog()
        self._in_flight = 0
        """How many bytes the message has, with what it counts besides, that the server is taking."""
        self._writer: asyncio.Task[None] | None = None
        self._turns: Turns | None = None
        self._has_a_turn = False
        """Whether it is to be written, or is. Where not, nothing waits."""
        self._closed = False
        self._callbacks: list[Callable[[int, str], None]] = []

    @property
    def queued_bytes(self) -> int:
        """How many bytes of messages wait for the server to take them."""
        waiting = len(self._queue) + (1 if self._in_flight else 0)
        first = 0 if self._first is None else self._first.size
        return first + self._queue.size + self._in_flight - waiting * MESSAGE_BYTES

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._closed

    def offer(self, message: PreparedMessage, recipient: Recipient | None = None) -> bool:
        """Queue a message for the writer."""
        if self._closed:
            return False
        if not self._has_a_turn:
            self._first = message
            self._first_recipient = recipient
            self._has_a_turn = True
            if self._turns is None:
                self._turns = turns_of(asyncio.get_running_loop())
            self._turns.take(self)
            return True
        if self._first is not None:
            self._queue_up(self._first, self._first_recipient)
            self._first = self._first_recipient = None
        if self._queue_up(message, recipient):
            return True
        if recipient is None or recipient.policy is SlowPolicy.DISCONNECT:
            self.close(CloseCode.TOO_SLOW, f"too slow: {self.bound} bytes are waiting; come back and resume")
        return False

    def _queue_up(self, message: PreparedMessage, recipient: Recipient | None) -> bool:
        size = message.size + MESSAGE_BYTES
        return self._queue.offer(message, size, recipient, self.bound + MESSAGE_BYTES, self._in_flight)

    def _start(self) -> None:
        """Have what waits written by a task of its own, without waiting for its turn."""
        if self._writer is None and (self._first is not None or len(self._queue)):
            self._writer = asyncio.create_task(self._write())

    async def drained(self) -> None:
        """Wait until the server has taken what waits, or the outlet has closed."""
        self._start()
        while self._writer is not None and not self._closed:
            await asyncio.wait([self._writer])

    def close(self, code: int, reason: str = "") -> None:
        """Drop the queue, and tell the peer in a task that gives up after `CLOSE_TIMEOUT`."""
        if self._closed:
            return
        if code == CloseCode.TOO_SLOW:
            counts[Reason.SLOW] += 1
        writer = self._writer
        self._shut(code, reason)
        self._writer = asyncio.create_task(self._send_close(writer, code, reason))

    def lose(self) -> None:
        """Take nothing more, and call nobody back: the peer has gone, and that is known already."""
        self._callbacks.clear()
        self._shut(CloseCode.ABNORMAL, "")

    def on_close(self, callback: Callable[[int, str], None]) -> None:
        """Have `callback` called when the outlet has closed."""
        self._callbacks.append(callback)

    async def finish(self) -> None:
        """Take nothing more, and wait until what was taken is written, or the close frame is.

        Waits `CLOSE_TIMEOUT` at most; what could not be written by then is dropped.
        """
        self._closed = True
        self._callbacks.clear()
        self._start()
        writer = self._writer
        if writer is None:
            return
        try:
            await asyncio.wait([writer], timeout=CLOSE_TIMEOUT)
        finally:
            if not writer.done():
                writer.cancel()
                self._shut(CloseCode.ABNORMAL, "")

    async def write(self, writer: asyncio.Task[None] | None) -> None:
        """Write what is queued, now that it is its turn, unless that is being done, or is no longer to be done."""
        if self._writer is None:
            self._writer = writer
            await self._write()

    async def _write(self) -> None:
        """Write what is queued, then end: the next offer starts it again."""
        try:
            while (message := self._take()) is not None:
                self._in_flight = message.size + MESSAGE_BYTES
                await self._send(message.event)
                self._in_flight = 0
        except asyncio.CancelledError:
            self._shut(CloseCode.ABNORMAL, "")  # the server's doing: where this side cancels, it has shut before
            raise
        except OSError:
            self._shut(CloseCode.ABNORMAL, "")  # ASGI's way to say that the peer has gone
        except Exception as error:  # noqa: BLE001 - servers have many ways to say that it is over
            logger.debug("the server refused a message, so the connection counts as lost: %r", error)
            self._shut(CloseCode.ABNORMAL, "")
        self._writer = None
        self._has_a_turn = False

    def _take(self) -> PreparedMessage | None:
        """Give what has waited longest; None where nothing waits."""
        first = self._first
        if first is not None:
            self._first = self._first_recipient = None
            return first
        return self._queue.take() if len(self._queue) else None

    def _shut(self, code: int, reason: str) -> None:
        self._closed = True
        if self._first is not None and self._first_recipient is not None:
            self._first_recipient.drop()
        self._first = self._first_recipient = None
        self._queue.clear()
        self._in_flight = 0
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(code, reason)

    async def _send_close(self, writer: asyncio.Task[None] | None, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if writer is not None:
                    writer.cancel()  # so that the close frame does not wait behind a message that nobody reads
                    await asyncio.wait([writer])
                await self._send({"type": "websocket.close", "code": int(code), "reason": reason})
        except Exception as error:  # noqa: BLE001 - the peer has gone, or does not read: there is nobody to tell
            logger.debug("a close frame with code %d did not go out: %r", code, error)
