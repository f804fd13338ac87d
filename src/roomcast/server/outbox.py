"""Outbox: what waits to be written to one peer, bounded in bytes, one write a tick of the event loop."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from roomcast.backlog import MESSAGE_BYTES, Backlog

if TYPE_CHECKING:
    import asyncio

    from roomcast.backlog import Recipient

logger = logging.getLogger("roomcast.server")

FLUSH_AT = 64 * 1024
"""How many bytes the app's own sends collect in a tick before they are written ahead of its end. Also how many of
those that wait are handed at once to a transport whose peer keeps up again."""
SLICE = 128
"""How many outboxes are written in one turn of the event loop, some milliseconds' worth: a room of thousands is
written in several, and who else is served has its turns in between."""


class Flusher:
    """Writes the outboxes of one event loop at the end of each tick in which something was put into them.

    Args:
        loop: the event loop.
    """

    __slots__ = ("_dirty", "_is_due", "_late", "_loop", "_own")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._own: list[Outbox] = []
        """What is for one peer alone. It goes first: what is for a room may be for thousands."""
        self._dirty: list[Outbox] = []
        self._late: deque[Outbox] = deque()
        """What was marked in earlier ticks and has not had its turn."""
        self._is_due = False

    def mark(self, outbox: Outbox, own: bool) -> None:
        """Have an outbox written at the end of this tick, or soon after.

        Args:
            outbox: it.
            own: whether it has something for its peer alone.
        """
        if own:
            self._own.append(outbox)
        else:
            self._dirty.append(outbox)
        self._call()

    def flush(self) -> None:
        """Write what was marked in this tick, and some of what is late: at most `SLICE` of each.

        So an answer to one connection does not wait for the end of what goes to thousands of others.
        """
        self._is_due = False
        late = self._late
        waited = min(SLICE, len(late))
        fresh = self._own
        self._own = []
        if self._dirty:
            fresh += self._dirty
            self._dirty = []
        turn = fresh[:SLICE]
        late.extend(fresh[SLICE:])
        for _ in range(waited):
            turn.append(late.popleft())
        if late:
            self._call()
        for outbox in turn:
            try:
                outbox.flush()
            except Exception:  # the others are to be written all the same
                logger.exception("a connection cannot be written to: it counts as lost")
                outbox.abort()

    def _call(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.flush)


_flushers: WeakKeyDictionary[asyncio.AbstractEventLoop, Flusher] = WeakKeyDictionary()


def flusher_of(loop: asyncio.AbstractEventLoop) -> Flusher:
    """Give the event loop's flusher: one for all its connections."""
    flusher = _flushers.get(loop)
    if flusher is None:
        flusher = _flushers[loop] = Flusher(loop)
    return flusher


class Outbox:
    """What waits to be written to one peer, in order.

    While the peer keeps up, that is what was put in this tick. While it does not, it is a backlog.

    Args:
        transport: where it is written to.
        flusher: writes it at the end of the tick.
        bound: how many bytes may wait.
    """

    __slots__ = (
        "_backlog",
        "_bytes",
        "_first",
        "_flusher",
        "_marked",
        "_rest",
        "_transport",
        "bound",
        "paused",
        "written",
    )

    def __init__(self, transport: asyncio.Transport, flusher: Flusher, bound: int) -> None:
        self._transport = transport
        self._flusher = flusher
        self._first: bytes | None = None
        self._rest: list[bytes] | None = None
        self._bytes = 0
        self._backlog: Backlog[bytes] | None = None
        self._marked = False
        self.bound = bound
        self.paused = False
        """Whether the transport has said that the peer does not keep up."""
        self.written = 0
        """How many bytes were handed to the transport."""

    def put(self, frame: bytes) -> None:
        """Queue a frame, whatever waits already: for what must go out, and for who waits by itself."""
        self._queue(frame)
        self._mark(own=True)

    def _queue(self, frame: bytes) -> None:
        if self._backlog is not None:
            self._backlog.add(frame, len(frame) + MESSAGE_BYTES)
        else:
            if self._first is None:
                self._first = frame
            elif self._rest is None:
                self._rest = [frame]
            else:
                self._rest.append(frame)
            self._bytes += len(frame)

    def offer(self, frame: bytes, recipient: Recipient | None = None) -> bool:
        """Queue a frame if it fits the bound, or the recipient's policy makes it fit, and say whether it did."""
        if self._backlog is None and self._bytes + len(frame) <= self.bound:
            self._queue(frame)
            self._mark(own=recipient is None)
            return True
        if not self.paused:
            self.flush()  # much may be said in one tick, and a peer that reads takes it
        backlog = self._backlog or Backlog()
        elsewhere = self._transport.get_write_buffer_size()
        if not backlog.offer(frame, len(frame) + MESSAGE_BYTES, recipient, self.bound + MESSAGE_BYTES, elsewhere):
            return False
        self._backlog = backlog
        self._mark(own=recipient is None)
        return True

    def size(self) -> int:
        """Count the bytes that wait, here and in the transport."""
        waiting = 0 if self._backlog is None else self._backlog.size - len(self._backlog) * MESSAGE_BYTES
        return self._bytes + waiting + self._transport.get_write_buffer_size()

    def forget_written(self) -> None:
        """Count what is written from now on, and not what waits already."""
        self.written = -self._bytes

    def is_full(self) -> bool:
        """Whether one who can wait should: so much came in this tick that it is better written now."""
        return self._bytes >= FLUSH_AT or self._backlog is not None or self.paused

    def pause(self) -> None:
        """Keep what comes from now on here, where it can be dropped: the peer does not keep up."""
        self.paused = True
        if self._backlog is None:
            self._backlog = Backlog()
            for frame in self._take():
                self._backlog.add(frame, len(frame) + MESSAGE_BYTES)

    def resume(self) -> None:
        """Write again: the peer keeps up."""
        self.paused = False
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as the peer keeps up."""
        self._marked = False
        if self.paused:
            return
        self.written += self._bytes
        if self._rest is not None:
            self._transport.write(b"".join(self._take()))
        elif self._first is not None:
            frame = self._first
            self._first = None
            self._bytes = 0
            self._transport.write(frame)
        if self._backlog is not None:
            self._flush_backlog(FLUSH_AT)

    def flush_all(self) -> None:
        """Hand all that waits to the transport, whether the peer keeps up or not: it is to be dropped no more."""
        self.paused = False
        self.flush()
        self.paused = False
        if self._backlog is not None:
            self._flush_backlog(self._backlog.size + 1)
            self._backlog = None

    def abort(self) -> None:
        """Give the connection up."""
        self._transport.abort()

    def clear(self) -> None:
        """Drop what waits here. What the transport has already, it keeps: a frame cannot be cut."""
        self._take()
        if self._backlog is not None:
            self._backlog.clear()

    def _mark(self, own: bool) -> None:
        if not self._marked and not self.paused:
            self._marked = True
            self._flusher.mark(self, own)

    def _take(self) -> list[bytes]:
        """Give what was put in this tick, and have it no more."""
        frames = [] if self._first is None else [self._first]
        if self._rest is not None:
            frames += self._rest
        self._first = self._rest = None
        self._bytes = 0
        return frames

    def _flush_backlog(self, step: int) -> None:
        """Write what waits in steps, until the peer does not keep up any more."""
        backlog: Backlog[bytes] = self._backlog  # type: ignore[assignment]
        while len(backlog) and not self.paused:
            frames = b"".join(backlog.take_up_to(step))
            self.written += len(frames)
            self._transport.write(frames)
        if not self.paused:
            self._backlog = None
