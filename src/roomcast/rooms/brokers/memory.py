"""The broker for one process: everything in memory, and gone with the process."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Self

from roomcast.errors import UnknownBroker
from roomcast.rooms.brokers.history import History
from roomcast.rooms.brokers.local import LocalBroker
from roomcast.rooms.publication import Position
from roomcast.rooms.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = 1024
"""How many keys a room remembers, to know a repeated publish by."""
IDLE_ROOMS = 10_000
"""How many rooms are remembered beside those that are subscribed."""
SWEEP_INTERVAL = 10.0
"""How many seconds lie between two looks for rooms to forget."""


class MemoryBroker(LocalBroker):
    """Keeps each room's order and newest publications in this process.

    A room that nobody is in is forgotten once nobody has used it for the age of its retention, and before that
    where more than `IDLE_ROOMS` are remembered: those that were not used for the longest time. Should it come
    back, it starts a new epoch.

    Args:
        clock: gives the time in seconds; any monotonic clock.
    """

    retention = Retention(size=256, bytes=1 << 20, age=300.0)

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        super().__init__()
        self._clock = clock
        self._rooms: OrderedDict[str, _Room] = OrderedDict()
        self._next_sweep = 0.0

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make the broker that `memory://` names."""
        if url.partition("://")[2]:
            raise UnknownBroker("memory:// takes nothing after the slashes: all of it is in this process")
        return cls()

    async def close(self) -> None:
        """Forget everything."""
        await super().close()
        self._rooms.clear()

    async def subscribe(self, room: str) -> None:
        """Deliver the room's publications from now on."""
        await super().subscribe(room)
        self._room(room)

    async def publish(self, room: str, payload: bytes, *, key: str | None = None, keep: bool = True) -> Position:
        """Take the room's next offset, keep the payload, and deliver it before returning."""
        state = self._room(room)
        if key is not None and (known := state.keys.get(key)) is not None:
            return known
        position = state.append(payload, self._now()) if keep else None
        if key is not None:
            state.remember(key)
        if room in self._subscribed:
            self._deliver(room, position, payload)
        return position or state.position

    async def history(
        self, room: str, *, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> History:
        """Give what is kept of the room."""
        state = self._room(room)
        state.expire(self._now())
        kept = [(position, payload) for position, _, payload in state.kept]
        complete = True
        if since is not None:
            complete = state.reaches_back_to(since)
            if since.epoch == state.epoch:
                kept = [entry for entry in kept if entry[0].offset > since.offset]
        if reverse:
            kept.reverse()
        return History(kept[:limit], state.position, complete and (limit is None or len(kept) <= limit))

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    def _room(self, name: str) -> _Room:
        now = self._now()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_INTERVAL
            self._sweep(now)
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _Room(self.retention_of(name))
            self._make_space()
        else:
            self._rooms.move_to_end(name)
        room.used = now
        return room

    def _sweep(self, now: float) -> None:
        """Forget the rooms that nobody is in and nobody has used for so long that nothing of them is kept."""
        forgotten = [
            name
            for name, room in self._rooms.items()
            if room.used <= now - room.retention.age and not self._in_use(name)
        ]
        for name in forgotten:
            del self._rooms[name]

    def _make_space(self) -> None:
        """Forget the idle rooms over the bound, those first that were not used for the longest time."""
        while len(self._rooms) > IDLE_ROOMS + len(self._subscribed):
            name = next(iter(self._rooms))
            if name in self._subscribed:
                self._rooms.move_to_end(name)
            else:
                del self._rooms[name]


class _Room:
    """One room's order and history."""

    __slots__ = ("epoch", "kept", "keys", "offset", "retention", "size", "used")

    def __init__(self, retention: Retention) -> None:
        self.retention = retention
        self.epoch = secrets.token_hex(4)
        self.offset = 0
        self.kept: deque[tuple[Position, float, bytes]] = deque()
        self.size = 0
        self.keys: OrderedDict[str, Position] = OrderedDict()
        self.used = 0.0

    @property
    def position(self) -> Position:
        return Position(self.offset, self.epoch)

    def append(self, payload: bytes, now: float) -> Position:
        self.offset += 1
        position = self.position
        self.kept.append((position, now, payload))
        self.size += len(payload)
        self.expire(now)
        return position

    def expire(self, now: float) -> None:
        kept, most = self.kept, self.retention
        while kept and (len(kept) > most.size or self.size > most.bytes or kept[0][1] <= now - most.age):
            self.size -= len(kept.popleft()[2])

    def remember(self, key: str) -> None:
        self.keys[key] = self.position
        if len(self.keys) > KEYS:
            self.keys.popitem(last=False)

    def reaches_back_to(self, since: Position) -> bool:
        """Whether everything after `since` is still kept."""
        if since.epoch != self.epoch or since.offset > self.offset:
            return False
        oldest = self.kept[0][0].offset if self.kept else self.offset + 1
        return since.offset >= oldest - 1
