"""Outbox: what waits to be written to one peer, bounded in bytes, one write a tick of the event loop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger("roomcast.server")

FLUSH_AT = 64 * 1024
"""How many bytes the app's own sends collect in a tick before they are written ahead of its end."""


class Flusher:
    """Writes the outboxes of one event loop at the end of each tick in which something was put into them.

    Args:
        loop: the event loop.
    """

    __slots__ = ("_dirty", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dirty: list[Outbox] = []

    def mark(self, outbox: Outbox) -> None:
        """Have an outbox written at the end of this tick."""
        if not self._dirty:
            self._loop.call_soon(self.flush)
        self._dirty.append(outbox)

    def flush(self) -> None:
        """Write every outbox that was marked."""
        dirty = self._dirty
        self._dirty = []
        for outbox in dirty:
            try:
                outbox.flush()
            except Exception:  # the others are to be written all the same
                logger.exception("a connection cannot be written to: it counts as lost")
                outbox.abort()


_flushers: WeakKeyDictionary[asyncio.AbstractEventLoop, Flusher] = WeakKeyDictionary()


def flusher_of(loop: asyncio.AbstractEventLoop) -> Flusher:
    """Give the event loop's flusher: one for all its connections."""
    flusher = _flushers.get(loop)
    if flusher is None:
        flusher = _flushers[loop] = Flusher(loop)
    return flusher


class Outbox:
    """What waits to be written to one peer, in order.

    Args:
        transport: where it is written to.
        flusher: writes it at the end of the tick.
        bound: how many bytes may wait.
    """

    __slots__ = ("_bytes", "_flusher", "_frames", "_marked", "_transport", "bound", "paused")

    def __init__(self, transport: asyncio.Transport, flusher: Flusher, bound: int) -> None:
        self._transport = transport
        self._flusher = flusher
        self._frames: list[bytes] = []
        self._bytes = 0
        self._marked = False
        self.bound = bound
        self.paused = False
        """Whether the transport has said that the peer does not keep up."""

    def put(self, frame: bytes) -> None:
        """Queue a frame, whatever waits already: for what must go out, and for who waits by itself."""
        self._frames.append(frame)
        self._bytes += len(frame)
        if not self._marked and not self.paused:
            self._marked = True
            self._flusher.mark(self)

    def offer(self, frame: bytes) -> bool:
        """Queue a frame if it fits the bound, and say whether it did."""
        if self._bytes + len(frame) > self.bound or self.paused:
            if not self.paused:
                self.flush()  # much may be said in one tick, and a peer that reads takes it
            waiting = self.size()
            # What is bigger than the bound is no sign of a slow peer, and would close every member of a room.
            if waiting and waiting + len(frame) > self.bound:
                return False
        self.put(frame)
        return True

    def size(self) -> int:
        """Count the bytes that wait, here and in the transport."""
        return self._bytes + self._transport.get_write_buffer_size()

    def is_full(self) -> bool:
        """Whether one who can wait should: so much came in this tick that it is better written now."""
        return self._bytes >= FLUSH_AT or self.paused

    def flush(self) -> None:
        """Write what waits, unless the peer does not keep up: then it stays here, where it can be dropped."""
        self._marked = False
        frames = self._frames
        if self.paused or not frames:
            return
        self._frames = []
        self._bytes = 0
        if len(frames) == 1:
            self._transport.write(frames[0])
        else:
            self._transport.write(b"".join(frames))

    def abort(self) -> None:
        """Give the connection up."""
        self._transport.abort()

    def clear(self) -> None:
        """Drop what waits here. What the transport has already, it keeps: a frame cannot be cut."""
        self._frames.clear()
        self._bytes = 0
