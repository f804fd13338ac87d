"""Keepalive: the pings and the deadlines of all connections of an event loop, from one timer.

Connections that wait equally long stand in one queue, in the order of their deadlines, so that adding one,
removing one and finding the next take the same short time however many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

STALL = 0.1
"""How many seconds late the timer must fire for the event loop to count as stalled."""
GRACE = 0.1
"""How many seconds a stalled event loop gets to read what has arrived meanwhile, before deadlines count."""

T = TypeVar("T")


class Timer:
    """One timer of asyncio's for many deadlines.

    Args:
        loop: the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queues: list[_Due] = []
        self._handle: asyncio.TimerHandle | None = None
        self._at = 0.0
        self._has_grace = True

    def now(self) -> float:
        """Give the event loop's time in seconds."""
        return self._loop.time()

    def add(self, queue: _Due) -> None:
        """Drive a queue."""
        self._queues.append(queue)

    def wake(self, at: float) -> None:
        """Fire at `at`, or before."""
        if self._handle is not None:
            if self._at <= at:
                return
            self._handle.cancel()
        self._at = at
        self._handle = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = self.now()
        if now - self._at > STALL and self._has_grace:
            # What the peers sent may lie unread in their sockets: that is not their fault.
            self._has_grace = False
            self.wake(now + GRACE)
            return
        self._has_grace = True
        for queue in self._queues:
            queue.run(now)
        coming = [at for queue in self._queues if (at := queue.next()) is not None]
        if coming:
            self.wake(min(coming))


class _Due(Protocol):
    """A queue, as the timer sees it."""

    def run(self, now: float) -> None:
        """Act on everything that is due."""

    def next(self) -> float | None:
        """Give the next deadline, or None."""


class Deadlines(Generic[T]):
    """Things that wait equally long for `action`, unless they are discarded before.

    Args:
        timer: what drives it.
        delay: how many seconds each waits; None for ever.
        action: what is done then.
    """

    def __init__(self, timer: Timer, delay: float | None, action: Callable[[T], None]) -> None:
        self._timer = timer
        self._delay = delay
        self._action = action
        self._due: dict[T, float] = {}
        timer.add(self)

    def add(self, thing: T) -> None:
        """Let a thing wait from now on."""
        if self._delay is None:
            return
        at = self._timer.now() + self._delay
        self._due.pop(thing, None)
        self._due[thing] = at
        self._timer.wake(at)

    def __contains__(self, thing: T) -> bool:
        return thing in self._due

    def discard(self, thing: T) -> None:
        """Let a thing wait no more, if it does."""
        self._due.pop(thing, None)

    def run(self, now: float) -> None:
        """Act on everything that is due."""
        due = []
        for thing, at in self._due.items():
            if at > now:
                break
            due.append(thing)
        for thing in due:
            if self._due.pop(thing, None) is not None:  # one action may discard another's thing
                self._action(thing)

    def next(self) -> float | None:
        """Give the next deadline, or None."""
        return next(iter(self._due.values()), None)


class Pinged(Protocol):
    """A connection whose peer is pinged."""

    def ping(self) -> None:
        """Send a ping."""

    def listen(self) -> None:
        """Count the peer as silent until something comes from it."""

    def is_silent(self) -> bool:
        """Whether nothing has come from the peer since `listen`."""

    def lose(self) -> None:
        """Count the connection as lost."""


class Keepalive:
    """Pings peers, and finds the ones that are gone.

    Every `interval` a peer gets a ping. If nothing at all comes from it within `timeout` after that, it is lost.

    Args:
        timer: what drives it.
        interval: how many seconds lie between two pings; None or 0 for no pings.
        timeout: how many seconds a peer may be silent after a ping; None for any length.
    """

    def __init__(self, timer: Timer, interval: float | None, timeout: float | None) -> None:
        # In this order: who has answered is asked for the next answer in the same turn.
        self._answers = Deadlines[Pinged](timer, timeout, self._check) if timeout and interval else None
        self._pings = Deadlines[Pinged](timer, interval, self._ping) if interval else None

    def start(self, connection: Pinged) -> None:
        """Keep a connection alive from now on."""
        if self._pings is not None:
            self._pings.add(connection)

    def stop(self, connection: Pinged) -> None:
        """Leave a connection alone."""
        if self._pings is not None:
            self._pings.discard(connection)
        if self._answers is not None:
            self._answers.discard(connection)

    def _ping(self, connection: Pinged) -> None:
        if self._answers is not None and connection not in self._answers:
            connection.listen()
            self._answers.add(connection)
        connection.ping()
        self.start(connection)

    def _check(self, connection: Pinged) -> None:
        if connection.is_silent():
            connection.lose()
