"""Shards: the servers that share the rooms. There is one of them, unless it is a cluster."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ResponseError
from redis.exceptions import ConnectionError as Unconnected

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.redis.connections import LOST, ask, let_go, refusal
from roomcast.rooms.brokers.redis.life import Life
from roomcast.rooms.brokers.redis.link import Link
from roomcast.rooms.brokers.redis.reconnecting import Trouble
from roomcast.rooms.brokers.redis.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis.asyncio.connection import AbstractConnection

    from roomcast.rooms.brokers.redis.connections import Connect, Connections
    from roomcast.rooms.brokers.redis.link import Call
    from roomcast.rooms.brokers.redis.names import Names
    from roomcast.rooms.brokers.redis.scripts import Scripts
    from roomcast.rooms.brokers.redis.url import Address, Location

LATER = 0.05
"""After how many seconds a command is given again that a cluster does not take now."""


class Shard:
    """One server, and what a node has to do with it.

    Attributes:
        life: whether its data can be trusted.
        link: takes commands.
        subscriber: brings what is published.
    """

    def __init__(self, shards: Shards, connect: Connect, life_key: str) -> None:
        location, trouble = shards.location, shards.trouble
        self.life = Life(location, shards.names, shards.scripts, life_key, sharded=shards.sharded)
        self._shards = shards
        self.link = Link(
            location,
            connect,
            self.life.greet,
            trouble,
            elsewhere=shards.elsewhere,
            connected=self._connected,
            failed=shards.look_again,
        )
        self.subscriber = Subscriber(
            connect,
            partial(shards.take, self.life),
            shards.owe_return,
            trouble,
            location.settings.timeout,
            sharded=shards.sharded,
            connected=self._connected,
            failed=shards.look_again,
        )

    @property
    def reachable(self) -> bool:
        """Whether both connections are there."""
        return self.link.reachable and self.subscriber.reachable

    def _connected(self) -> None:
        self.link.hurry()
        self.subscriber.hurry()
        self._shards.connected()

    def start(self) -> None:
        """Connect."""
        self.link.start()
        self.subscriber.start()

    async def wait_until_up(self) -> None:
        """Wait until both connections are there; may raise BrokerUnavailable."""
        await self.link.wait_until_up()
        await self.subscriber.wait_until_up()

    async def stop(self, why: BrokerUnavailable) -> None:
        """Disconnect, and tell all who wait for something why."""
        self.link.give_up(why)
        self.subscriber.forget(why)
        await asyncio.gather(self.link.stop(), self.subscriber.stop())


class Shards:
    """One server that has all rooms.

    Args:
        location: what errors name.
        names: how rooms are called.
        scripts: what the servers are to know.
        connections: opens them.
        take: is given each message: the life of the server it came from, its room, and what was carried.
        returned: is called when all subscriptions are in place again that were not.
    """

    sharded = False

    def __init__(
        self,
        location: Location,
        names: Names,
        scripts: Scripts,
        connections: Connections,
        take: Callable[[Life, str, bytes], None],
        returned: Callable[[], None],
    ) -> None:
        self.location = location
        self.names = names
        self.scripts = scripts
        self.connections = connections
        self.take = take
        self.trouble = Trouble(location)
        self._returned = returned
        self._owes_return = False
        self._all: list[Shard] = []

    @property
    def reachable(self) -> bool:
        """Whether all servers can be reached."""
        return bool(self._all) and all(shard.reachable for shard in self._all)

    def all(self) -> Iterable[Shard]:
        """Give all servers."""
        return self._all

    def of(self, tag: str) -> Shard:  # noqa: ARG002 - it is the only one
        """Give the server that has the slot of a name."""
        return self._all[0]

    async def open(self) -> None:
        """Connect.

        Raises:
            BrokerUnavailable: it cannot be reached, or is none that rooms can have.
        """
        shard = Shard(self, self.connections.connect, self.names.life())
        await self._try(self.connections.connect, shard.life)
        self._all = [shard]
        await self._start(self._all)

    async def settled(self) -> None:
        """Wait for the answers that are still to come from servers that can be reached, as long as for any."""
        answers = [answer for shard in self._all if shard.reachable for answer in shard.link.answers()]
        if answers:
            await asyncio.wait(answers, timeout=self.location.settings.timeout)

    async def close(self, why: BrokerUnavailable) -> None:
        """Disconnect, and tell all who wait for something why."""
        shards, self._all = self._all, []
        await asyncio.gather(*(shard.stop(why) for shard in shards))

    def elsewhere(self, call: Call, error: ResponseError) -> None:
        """Answer a call that a server says is not its own."""
        if not call.answer.done():
            call.answer.set_exception(refusal(self.location, error))

    def look_again(self) -> None:
        """Note that a connection was lost."""

    def owe_return(self) -> None:
        """Note that all subscriptions at one server are in place again."""
        self._owes_return = True
        self.connected()

    def connected(self) -> None:
        """Note that there is a connection that was not: once all are there, say so."""
        if not self.reachable:
            return
        self.trouble.over()
        if self._owes_return:
            self._owes_return = False
            self._returned()

    async def _try(self, connect: Connect, life: Life) -> None:
        """Find out, on a connection for it alone, whether a server can be used, and say why where it cannot."""
        try:
            connection = await connect()
            try:
                async with asyncio.timeout(self.location.settings.timeout):
                    await life.greet(connection)
                    # Whoever may not subscribe is told so now.
                    await ask(connection, "SSUBSCRIBE" if self.sharded else "SUBSCRIBE", life.key)
            finally:
                await let_go(connection)
        except LOST as error:
            if isinstance(error, BrokerUnavailable):
                raise
            raise refusal(self.location, error) from None

    async def _start(self, shards: Iterable[Shard]) -> None:
        for shard in shards:
            shard.start()
        try:
            for shard in shards:
                await shard.wait_until_up()
        except BaseException:
            await self.close(BrokerUnavailable("the broker is not open"))
            raise


class ClusterShards(Shards):
    """The masters of a cluster, each of which has the rooms of its slots.

    Which has which is asked for at the start, and again where a master is lost, or says that a slot has gone
    elsewhere.
    """

    sharded = True

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._slots: list[Shard] = []
        self._by_address: dict[Address, Shard] = {}
        self._moved: list[Call] = []
        self._looking: asyncio.Task[None] | None = None
        self._is_open = False

    def of(self, tag: str) -> Shard:
        """Give the master that has the slot of a name."""
        return self._slots[key_slot(tag.encode())]

    async def open(self) -> None:
        """Ask which masters there are, and connect to all of them.

        Raises:
            BrokerUnavailable: one cannot be reached, is none that rooms can have, or slots are missing.
        """
        ranges = await self._ask_for_slots()
        for address, first, _ in ranges:
            if address not in self._by_address:
                shard = self._by_address[address] = self._shard(address, first)
                await self._try(partial(self.connections.connect_to, address), shard.life)
        self._all = list(self._by_address.values())
        self._assign(ranges)
        self._is_open = True
        await self._start(self._all)

    async def close(self, why: BrokerUnavailable) -> None:
        """Disconnect, and tell all who wait for something why."""
        self._is_open = False
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        for call in self._moved:
            if not call.answer.done():
                call.answer.set_exception(why)
        self._moved.clear()
        self._by_address.clear()
        await super().close(why)

    def elsewhere(self, call: Call, error: ResponseError) -> None:
        """Give a call to the master that has its slot now, once that is known, or is about to have it."""
        if isinstance(error, AskError) and (target := self._by_address.get((error.host, error.port))) is not None:
            call.asking = True
            target.link.call(call)
            return
        self._moved.append(call)
        self.look_again()

    def look_again(self) -> None:
        """Ask again which master has which slots."""
        if self._is_open and self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        try:
            await asyncio.sleep(LATER)
            try:
                await self._rearrange(await self._ask_for_slots())
            except BrokerUnavailable as error:
                self.trouble.tell(error)
        finally:
            self._looking = None
            moved, self._moved = self._moved, []
            for call in moved:
                self.of(call.tag).link.call(call)

    async def _rearrange(self, ranges: list[tuple[Address, int, int]]) -> None:
        gone = set(self._by_address) - {address for address, _, _ in ranges}
        for address, first, _ in ranges:
            if address not in self._by_address:
                shard = self._by_address[address] = self._shard(address, first)
                shard.start()
        former = [self._by_address.pop(address) for address in gone]
        before = self._all
        self._all = list(self._by_address.values())
        self._assign(ranges)
        for shard in former:
            for call in shard.link.take():
                self.of(call.tag).link.call(call)
        waiters = []
        for shard in before:
            for channel, room in shard.subscriber.wanted():
                owner = self.of(channel.decode())
                if owner is not shard:
                    shard.subscriber.give_up(channel)
                    waiters.append(owner.subscriber.want(channel, room))
        for shard in former:
            await shard.stop(BrokerUnavailable("the master has left the cluster"))
        if waiters:
            with contextlib.suppress(TimeoutError, BrokerUnavailable):
                async with asyncio.timeout(self.location.settings.timeout):
                    await asyncio.gather(*waiters)
            self.owe_return()

    def _shard(self, address: Address, slot: int) -> Shard:
        return Shard(self, partial(self.connections.connect_to, address), self.names.life(slot))

    def _assign(self, ranges: list[tuple[Address, int, int]]) -> None:
        slots = list(self._slots) or [self._all[0]] * REDIS_CLUSTER_HASH_SLOTS
        for address, first, last in ranges:
            slots[first : last + 1] = [self._by_address[address]] * (last - first + 1)
        self._slots = slots

    async def _ask_for_slots(self) -> list[tuple[Address, int, int]]:
        """Ask the masters, or those that the URL names, for each master's address and slots, first and last.

        Raises:
            BrokerUnavailable: none of them says, or slots are missing.
        """
        error: Exception = Unconnected("it has no servers")
        for asked in dict.fromkeys([*self._by_address, *self.location.addresses]):
            try:
                connection = await self.connections.connect_to(asked)
                try:
                    ranges = await _slots_of(connection, asked[0])
                finally:
                    await let_go(connection)
            except LOST as caught:
                error = caught
                continue
            if sum(last - first + 1 for _, first, last in ranges) == REDIS_CLUSTER_HASH_SLOTS:
                return ranges
            error = Unconnected("not all of its slots have a master")
        raise refusal(self.location, error)


async def _slots_of(connection: AbstractConnection, host: str) -> list[tuple[Address, int, int]]:
    try:
        told = await ask(connection, "CLUSTER", "SLOTS")
    except ResponseError as error:
        if "cluster support disabled" in str(error):
            raise ResponseError("it is no cluster: name it with redis://") from None
        raise
    # A server that does not know its own host says none.
    return [
        ((bytes(master[0] or b"").decode() or host, master[1]), first, last) for first, last, master, *_ in told
    ]
