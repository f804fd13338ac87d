"""Presence: who is in which room, on all nodes, and what becomes of those whose node dies."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from itertools import islice
from typing import TYPE_CHECKING, Any

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.redis.scripts import BEGIN, FORGET, RENEW, RESTORE
from roomcast.rooms.names import is_internal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomcast.rooms.brokers.base import Vanished
    from roomcast.rooms.brokers.redis.connections import Argument
    from roomcast.rooms.brokers.redis.names import Names
    from roomcast.rooms.brokers.redis.scripts import Script
    from roomcast.rooms.brokers.redis.shards import Shards

logger = logging.getLogger("roomcast.rooms")

RENEWALS = 3
"""How often a node's lease is renewed in the time that it is for."""
ROOMS_AT_A_TIME = 100
"""How many rooms are put right, or cleared of a node, at a time."""


class Presences:
    """What this node tells of its members, and what the others tell of theirs.

    Each node has a lease that it renews, and all that it tells goes when that is over: another node clears it
    away, and hears of each presence that was there. With each renewal some rooms are told of again, one after the
    other; and all of them where the server may have forgotten something.

    Args:
        shards: the servers.
        names: how rooms are called.
        ttl: how many seconds a lease is for.
        vanished: is called with the room and the presence of each member whose node has died, on one node only.
    """

    def __init__(self, shards: Shards, names: Names, ttl: float, vanished: Vanished) -> None:
        self._shards = shards
        self._names = names
        self._ttl = ttl
        self._vanished = vanished
        self._present: dict[str, dict[str, bytes]] = {}
        self._earlier: list[str] = []
        self._node = secrets.token_hex(8)
        self._task: asyncio.Task[None] | None = None
        self._known: list[tuple[str, str]] = []
        self._next = 0
        """Where to go on putting rooms right."""

    async def open(self) -> None:
        """Begin this node's lease, and renew it from now on; may raise BrokerUnavailable."""
        await self._script(BEGIN, self._names.leases, self._node, self._ttl_ms)
        self._known = self._lives()
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Take back all that this node tells, if the servers can be reached; else it expires."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None
        rooms = list(self._present)
        self._present.clear()
        if not self._shards.reachable:
            logger.warning("the broker cannot be told that this node ends; its presence will expire")
            return
        try:
            await self._restore(rooms)
            await self._end(self._node)
        except BrokerUnavailable as error:
            logger.warning("the broker was not told that this node ends; its presence will expire: %s", error)

    async def arrive(self, room: str, member: str, presence: bytes) -> None:
        """Tell of a member; may raise BrokerUnavailable."""
        present = self._present.setdefault(room, {})
        present[member] = presence
        counted = self._count(room)
        key = self._key(room)
        await asyncio.gather(counted, self._ask(key, "HSET", key, member, self._entry(presence)))

    async def depart(self, room: str, member: str) -> None:
        """Tell no more of a member; may raise BrokerUnavailable."""
        present = self._present.get(room, {})
        if present.pop(member, None) is None:
            return
        if not present:
            del self._present[room]
        counted = self._count(room)
        key = self._key(room)
        await asyncio.gather(counted, self._ask(key, "HDEL", key, member))

    async def present(self, room: str) -> list[bytes]:
        """Give what is told of the members of a room, on all nodes; may raise BrokerUnavailable."""
        key = self._key(room)
        return [entry.partition(b" ")[2] for entry in await self._ask(key, "HVALS", key)]

    async def rooms(self) -> dict[str, int]:
        """Give the rooms that have members, on any node, and how many; may raise BrokerUnavailable."""
        leases = self._names.leases
        nodes = [node.decode() for node in await self._ask(leases, "ZRANGE", leases, 0, -1)]
        counts: dict[str, int] = {}
        for told in await asyncio.gather(
            *(self._ask(key, "HGETALL", key) for key in map(self._names.rooms_of, nodes))
        ):
            for room, count in zip(told[::2], told[1::2], strict=True):
                name = room.decode()
                if not is_internal(name):
                    counts[name] = counts.get(name, 0) + int(count)
        return counts

    # This node's lease

    @property
    def _ttl_ms(self) -> int:
        return int(self._ttl * 1000)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._ttl / RENEWALS * random.uniform(0.8, 1.0))  # noqa: S311 - not all at once
            try:
                await self._renew()
            except BrokerUnavailable:
                continue  # the next time, or another node clears this one away, and it begins anew
            except Exception:
                logger.exception("presence could not be renewed")

    async def _renew(self) -> None:
        had, dead = await self._script(RENEW, self._names.leases, self._node, self._ttl_ms)
        lives = self._lives()
        if not had:
            # What this node told is being cleared away, or lost: it is told again under another name.
            self._earlier = [*self._earlier[-3:], self._node]
            self._node = secrets.token_hex(8)
            await self._script(BEGIN, self._names.leases, self._node, self._ttl_ms)
        if not had or lives != self._known:
            told = await self._ask_rooms_of(self._node)
            await self._restore([*self._present, *(room for room in told if room not in self._present)])
            self._known = lives
        else:
            rooms = list(islice(self._present, self._next, self._next + ROOMS_AT_A_TIME))
            self._next = self._next + ROOMS_AT_A_TIME if len(rooms) == ROOMS_AT_A_TIME else 0
            await self._restore(rooms)
        for name in dead:
            node = name.decode()
            if node != self._node:
                await self._clear_away(node)

    def _lives(self) -> list[tuple[str, str]]:
        """Give what changes whenever a server may have forgotten something."""
        return [(shard.life.run, shard.link.life) for shard in self._shards.all()]

    async def _restore(self, rooms: Iterable[str]) -> None:
        """Tell again who is in these rooms on this node."""
        remaining = iter(rooms)
        while some := list(islice(remaining, ROOMS_AT_A_TIME)):
            calls = []
            for room in some:
                present = self._present.get(room, {})
                told = [part for member, presence in present.items() for part in (member, self._entry(presence))]
                names = [*self._earlier, self._node]
                calls.append(self._count(room))
                calls.append(self._script(RESTORE, self._key(room), len(names), *names, *told))
            await asyncio.gather(*calls)

    async def _clear_away(self, node: str) -> None:
        """Clear away what a node told that has died, and say of each of its members that it vanished."""
        remaining = iter(await self._ask_rooms_of(node))
        while some := list(islice(remaining, ROOMS_AT_A_TIME)):
            gone = await asyncio.gather(*(self._script(FORGET, self._key(room), node) for room in some))
            for room, presences in zip(some, gone, strict=True):
                for presence in presences:
                    self._vanished(room, presence)
        await self._end(node)

    async def _end(self, node: str) -> None:
        rooms = self._names.rooms_of(node)
        await self._ask(rooms, "DEL", rooms)
        await self._ask(self._names.leases, "ZREM", self._names.leases, node)

    async def _ask_rooms_of(self, node: str) -> list[str]:
        rooms = self._names.rooms_of(node)
        return [room.decode() for room in await self._ask(rooms, "HKEYS", rooms)]

    # One room

    def _key(self, room: str) -> str:
        return f"{self._names.room(room)}:p"

    def _entry(self, presence: bytes) -> bytes:
        return b"%s %s" % (self._node.encode(), presence)

    def _count(self, room: str) -> asyncio.Future[Any]:
        """Tell how many members the room has on this node."""
        rooms, count = self._names.rooms_of(self._node), len(self._present.get(room, ()))
        if count:
            return self._ask(rooms, "HSET", rooms, room, count)
        return self._ask(rooms, "HDEL", rooms, room)

    def _ask(self, tag: str, *command: Argument) -> asyncio.Future[Any]:
        return self._shards.of(tag).link.ask(tag, *command)

    def _script(self, script: Script, key: str, *arguments: Argument) -> asyncio.Future[Any]:
        return self._shards.of(key).link.run(key, script, 1, key, *arguments)
