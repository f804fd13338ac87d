"""The broker on Redis: any number of processes, on any number of machines, share its rooms."""

from __future__ import annotations

import asyncio
import secrets
from functools import lru_cache
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING, Self

from roomcast.errors import BrokerUnavailable, ConfigurationError
from roomcast.rooms.brokers.base import Broker, do_nothing
from roomcast.rooms.brokers.history import History
from roomcast.rooms.brokers.redis.publishing import Publication, Publishing
from roomcast.rooms.brokers.redis.room import Room
from roomcast.rooms.brokers.redis.url import Location
from roomcast.rooms.brokers.space import Space
from roomcast.rooms.publication import Position
from roomcast.rooms.retention import BY_DEFAULT, Retention

if TYPE_CHECKING:
    from roomcast.rooms.brokers.base import Deliver, Returned, Vanished
    from roomcast.rooms.brokers.redis.presence import Presences
    from roomcast.rooms.brokers.redis.shards import Shards
    from roomcast.rooms.retention import Retentions

WAITING_BYTES = 8 << 20
"""How many bytes of publications may be on their way to Redis; who publishes more waits."""
OVERHEAD = 512
"""How many bytes a publication on its way counts beside its payload."""
ROOMS_AT_HAND = 4096
"""How many rooms' names and retentions are kept at hand."""
TRACE_MS = 60_000
"""For how many milliseconds something is known that was published and that the history has no place for."""
MOST_ENTRIES = 2_000_000
"""More entries than a stream has."""


class RedisBroker(Broker):
    """Keeps rooms in Redis, and carries what is published to all nodes that have members there.

    A publication is one step: its offset, its place in the history and its way to the nodes come from one script.
    What is published in one turn of the event loop, and while answers are on their way, goes over one connection
    together.

    Args:
        location: where Redis is.
    """

    many_processes = True
    retention = Retention(size=1000, bytes=4 << 20, age=86400.0)

    def __init__(self, location: Location) -> None:
        self._location = location
        self._shards: Shards | None = None
        self._presences: Presences | None = None
        self._remembering: asyncio.Task[None] | None = None
        self._is_open = False
        self._space = Space(WAITING_BYTES)
        self._name = secrets.token_hex(4)
        self._numbers = count(1)
        self._key_ttl = int(location.settings.key_ttl * 1000)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make the broker that a URL names: see `Location.parse`."""
        location = Location.parse(url)
        if find_spec("redis") is None or find_spec("hiredis") is None:
            raise ConfigurationError(
                f"{url.partition('://')[0]}:// needs redis-py with hiredis: pip install 'roomcast[redis]'"
            )
        return cls(location)

    @property
    def reachable(self) -> bool:
        """Whether Redis can be reached now, as far as can be known."""
        return self._shards is not None and self._shards.reachable

    async def open(
        self,
        deliver: Deliver,
        retentions: Retentions = BY_DEFAULT,
        *,
        returned: Returned = do_nothing,
        vanished: Vanished = do_nothing,
    ) -> None:
        """Connect, and deliver from now on.

        Raises:
            BrokerUnavailable: Redis cannot be reached, does not let us in, is too old, or has no memory left.
        """
        from roomcast.rooms.brokers.redis.opening import connected  # noqa: PLC0415 - it needs redis-py

        self._shards, self._presences, self._remembering = await connected(
            self._location, deliver, returned, vanished
        )
        self._publishing = Publishing(self._shards)
        names = self._shards.names

        def room_of(room: str) -> Room:
            return Room.of(names.room(room), retentions.of(room, type(self).retention))

        self._room = lru_cache(ROOMS_AT_HAND)(room_of)
        self._is_open = True

    async def close(self) -> None:
        """Wait for the answers that are on their way, for no longer than for any answer, and disconnect."""
        self._is_open = False
        self._space.turn_away(_not_open())
        shards, presences = self._shards, self._presences
        self._presences = None
        if self._remembering is not None:
            self._remembering.cancel()
        if presences is not None:
            await presences.close()
        if shards is not None:
            self._publishing.send()
            await shards.settled()
            await shards.close(_not_open())
        self._shards = None

    async def subscribe(self, room: str) -> None:
        """Receive the room's publications: all that are published after this returns."""
        channel = self._opened().names.room(room)
        await self._opened().of(channel).subscriber.subscribe(channel.encode(), room)

    async def unsubscribe(self, room: str) -> None:
        """Receive no more of the room."""
        if self._shards is not None:
            channel = self._shards.names.room(room)
            self._shards.of(channel).subscriber.give_up(channel.encode())

    async def publish(self, room: str, payload: bytes, *, key: str | None = None, keep: bool = True) -> Position:
        """Have Redis give the payload its position, keep it, and carry it, in one step.

        Where the connection is lost before the answer comes, it is sent again, and counts once.
        """
        size = len(payload) + OVERHEAD
        await self._space.take(size)
        try:
            self._opened()
            known = self._room(room)
            token = f"{self._name}{next(self._numbers):x}"
            named: str | None = None
            ttl = 0
            if key is not None:
                named, ttl = f"{known.channel}:k:{key}", self._key_ttl
            elif keep and not known.has_place_for(payload):
                # A token that is no entry's is found as a key is, should this be sent a second time.
                named, ttl = f"{known.channel}:t:{token}", TRACE_MS
            answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._publishing.publish(known, Publication(payload, token, keep, named, ttl, answer))
            told = await answer
        finally:
            self._space.give(size)
        offset, _, epoch = told.partition(b" ")
        position = Position(int(offset), epoch.decode())
        if keep and key is None and self._shards is not None:
            self._shards.of(known.channel).life.published = room, position, token.encode()
        return position

    async def history(
        self, room: str, *, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> History:
        """Read what is kept of the room."""
        shards, known = self._opened(), self._room(room)
        token = f"{self._name}{next(self._numbers):x}"
        after, epoch = (since.offset, since.epoch) if since is not None else (0, "")
        most = MOST_ENTRIES if limit is None else limit
        keys = 2, known.order, known.stream
        arguments = token, known.size, known.space, known.age, after, epoch, most, int(reverse)
        link, script = shards.of(known.channel).link, shards.scripts.history
        offset, now, length, entries = await link.run(known.channel, script, *keys, *arguments)
        newest = Position(int(offset), now.decode())
        kept = [(Position(int(entry[:-2]), newest.epoch), fields[3]) for entry, fields in entries]
        missed = newest.offset - after if since is not None and epoch == newest.epoch else length
        complete = since is None or (epoch == newest.epoch and 0 <= missed <= length)
        return History(kept, newest, complete and (limit is None or missed <= limit))

    async def arrive(self, room: str, member: str, presence: bytes) -> None:
        """Tell all nodes of a member. Should this one die, others forget it in time."""
        await self._telling().arrive(room, member, presence)

    async def depart(self, room: str, member: str) -> None:
        """Tell no more of a member."""
        await self._telling().depart(room, member)

    async def present(self, room: str) -> list[bytes]:
        """Give the presence of all members in a room, on all nodes."""
        return await self._telling().present(room)

    async def rooms(self) -> dict[str, int]:
        """Give the rooms that have members, on any node, and how many."""
        return await self._telling().rooms()

    def _opened(self) -> Shards:
        if self._shards is None or not self._is_open:
            raise _not_open()
        return self._shards

    def _telling(self) -> Presences:
        if self._presences is None:
            raise _not_open()
        return self._presences


def _not_open() -> BrokerUnavailable:
    return BrokerUnavailable("the broker is not open; nothing was published")
