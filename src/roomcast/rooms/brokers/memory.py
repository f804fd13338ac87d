"""The broker for one process: everything in memory, and gone with the process."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from roomcast.rooms.brokers.base import Broker, Deliver, History
from roomcast.rooms.publication import Position

if TYPE_CHECKING:
    from collections.abc import Callable

HISTORY_SIZE = 256
"""How many publications a room keeps."""
HISTORY_BYTES = 1 << 20
"""How many bytes of publications a room keeps."""
HISTORY_AGE = 300.0
"""How many seconds a publication is kept, and an empty room remembered."""
KEYS = 1024
"""How many keys a room remembers, to know a repeated publish by."""
SWEEP_INTERVAL = 10.0
"""How many seconds lie between two looks for rooms to forget."""


class MemoryBroker(Broker):
    """Keeps each room's order and newest publications in this process.

    An empty room is forgotten after `HISTORY_AGE`; should it come back, it starts a new epoch.

    Args:
        clock: gives the time in seconds; any monotonic clock.
    """

    many_processes = False

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._rooms: dict[str, _Room] = {}
        self._subscribed: set[str] = set()
        self._deliver: Deliver = _deliver_nothing
        self._next_sweep = 0.0

    async def open(self, deliver: Deliver) -> None:
        """Hand publications to `deliver` from now on."""
        self._deliver = deliver

    async def close(self) -> None:
        """Forget everything."""
        self._deliver = _deliver_nothing
        self._rooms.clear()
        self._subscribed.clear()

    async def subscribe(self, room: str) -> None:
        """Deliver the room's publications from now on."""
        self._subscribed.add(room)

    async def unsubscribe(self, room: str) -> None:
        """Deliver the room's publications no more."""
        self._subscribed.discard(room)

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
        return state.position

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

    async def arrive(self, room: str, member: str, presence: bytes) -> None:
        """Note a member's presence."""
        self._room(room).present[member] = presence

    async def depart(self, room: str, member: str) -> None:
        """Forget a member's presence."""
        self._room(room).present.pop(member, None)

    async def present(self, room: str) -> list[bytes]:
        """Give the presence of all members in a room."""
        return list(self._rooms[room].present.values()) if room in self._rooms else []

    async def rooms(self) -> dict[str, int]:
        """Give the rooms that have members, and how many."""
        return {name: len(room.present) for name, room in self._rooms.items() if room.present}

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    def _room(self, name: str) -> _Room:
        now = self._now()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_INTERVAL
            self._sweep(now)
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _Room()
        room.used = now
        return room

    def _sweep(self, now: float) -> None:
        """Forget the rooms that nobody is in and nobody has used for so long that nothing of them is kept."""
        forgotten = [
            name
            for name, room in self._rooms.items()
            if name not in self._subscribed and not room.present and room.used <= now - HISTORY_AGE
        ]
        for name in forgotten:
            del self._rooms[name]


class _Room:
    """One room's order and history."""

    __slots__ = ("epoch", "kept", "keys", "offset", "present", "size", "used")

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        self.offset = 0
        self.kept: deque[tuple[Position, float, bytes]] = deque()
        self.size = 0
        self.keys: OrderedDict[str, Position] = OrderedDict()
        self.present: dict[str, bytes] = {}
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
        kept = self.kept
        while kept and (len(kept) > HISTORY_SIZE or self.size > HISTORY_BYTES or kept[0][1] <= now - HISTORY_AGE):
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


def _deliver_nothing(_room: str, _position: Position | None, _payload: bytes) -> None:
    """Stand in where the broker is not open."""
