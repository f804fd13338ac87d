"""Tally: what has happened in this process since it started, as plain numbers.

Whoever sees something happen adds to a number: what happens seldom, here; what happens with each message, to
numbers of its own, which are added up when somebody asks. Of rooms and users it knows how many there are, and no
names: so it does not grow.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Protocol
from weakref import WeakSet

from roomcast.close_codes import CloseCode
from roomcast.errors import BrokerUnavailable

if TYPE_CHECKING:
    from types import TracebackType

DELAYS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""The bounds, in seconds, that times from a publication to its delivery are sorted by."""
LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""The bounds, in seconds, that lags of the event loop are sorted by."""

TOGETHER = 256
"""How many values of a distribution wait to be sorted in."""

_KNOWN_CODES = frozenset(range(1000, 1016)) | frozenset(CloseCode)


class Traffic(NamedTuple):
    """What went over connections of our server.

    Attributes:
        messages_in: messages that came.
        bytes_in: bytes that came after the handshake, as they were on the wire.
        messages_out: messages that were taken to be sent.
        bytes_out: bytes that were written after the handshake, as they are on the wire.
    """

    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0


class CountedConnection(Protocol):
    """An open connection of our server, which counts for itself."""

    @property
    def traffic(self) -> Traffic:
        """What went over it so far."""

    @property
    def queued_bytes(self) -> int:
        """How many bytes wait for its peer."""


class CountedRooms(Protocol):
    """The rooms of one process, as far as they can be counted."""

    @property
    def size(self) -> tuple[int, int]:
        """How many members there are here, and how many rooms they are in."""

    @property
    def queued_bytes(self) -> int:
        """How many bytes of messages wait for members on servers of others."""


class Distribution:
    """How often a value was how large.

    Args:
        bounds: the upper bounds of the buckets, growing; what is over the last one is counted behind it.
    """

    __slots__ = ("_counts", "_latest", "_sum", "bounds")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._latest: list[float] = []

    def observe(self, value: float) -> None:
        """Count a value; one below 0, as of clocks that differ, is 0."""
        self._latest.append(value)  # sorted together they cost less than one by one
        if len(self._latest) >= TOGETHER:
            self._sort()

    @property
    def counts(self) -> list[int]:
        """How many values there were in each bucket, and above the last one."""
        self._sort()
        return list(self._counts)

    @property
    def sum(self) -> float:
        """The sum of all values."""
        self._sort()
        return self._sum

    def _sort(self) -> None:
        latest, self._latest = self._latest, []
        for value in latest:
            if value > 0.0:
                self._counts[bisect_left(self.bounds, value)] += 1
                self._sum += value
            else:
                self._counts[0] += 1


class Tally:
    """The numbers of a process.

    Attributes:
        handshakes: how many ended how: accepted, refused (by the app), invalid (no request for a WebSocket),
            failed (the app gave no answer), draining (the server goes), abandoned (the client went).
        closes: how many connections ended with which code.
        published: how many publications the broker has taken from this process.
        delivered: how many messages of rooms were offered to members' connections.
        dropped: how many of those were dropped, by the members' policy for when too much waits.
        broker_errors: how often the broker did not do what it was asked for, by what that was.
        delay: the times from a publication to when it was handed to the members here.
        lag: how late the event loop came to what was due.
        connections: the connections of our server that are not at their end.
        rooms: the rooms that are open.
    """

    def __init__(self) -> None:
        self.handshakes: Counter[str] = Counter(
            dict.fromkeys(("accepted", "refused", "invalid", "failed", "draining", "abandoned"), 0)
        )
        self.closes: Counter[str] = Counter()
        self.published = 0
        self.delivered = 0
        self.dropped: Counter[str] = Counter()
        self.broker_errors: Counter[str] = Counter()
        self.delay = Distribution(DELAYS)
        self.lag = Distribution(LAGS)
        self.connections: set[CountedConnection] = set()
        self.rooms: WeakSet[CountedRooms] = WeakSet()
        self._ended = Traffic()

    @property
    def traffic(self) -> Traffic:
        """What went over all connections of our server, those that are over among them."""
        parts = [self._ended, *(connection.traffic for connection in tuple(self.connections))]
        return Traffic(*map(sum, zip(*parts, strict=True)))

    @property
    def queued_bytes(self) -> int:
        """How many bytes wait for peers."""
        waiting = sum(connection.queued_bytes for connection in tuple(self.connections))
        return waiting + sum(rooms.queued_bytes for rooms in tuple(self.rooms))

    def lost(self, connection: CountedConnection, code: int) -> None:
        """Count how a connection ended that is at its end, and what went over it, if it was ever open."""
        if connection in self.connections:
            self.closed(code)
            self._ended = Traffic(*map(sum, zip(self._ended, connection.traffic, strict=True)))
            self.connections.discard(connection)

    def closed(self, code: int) -> None:
        """Count the end of a connection. Codes that an app or a peer made up are counted by their thousand."""
        known = str(int(code)) if code in _KNOWN_CODES else f"{code // 1000}xxx" if code < 5000 else "other"
        self.closes[known] += 1


class BrokerCalls:
    """Counts what a broker could not do, of all that it is asked for in the block.

    Args:
        what: what it is asked for.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what
        tally.broker_errors[what] = 0

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, BrokerUnavailable):
            self.count()

    def count(self) -> None:
        """Count one, where a block would cost too much."""
        tally.broker_errors[self._what] += 1


tally = Tally()
"""The numbers of this process."""
