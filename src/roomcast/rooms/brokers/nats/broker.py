"""The broker on NATS: rooms in a stream of JetStream's, shared by all processes that reach the server."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from roomcast.errors import BrokerUnavailable, ConfigurationError
from roomcast.rooms.brokers.base import Broker, do_nothing
from roomcast.rooms.brokers.nats.entry import HEADER, Entry, payloads_of
from roomcast.rooms.brokers.nats.link import Link
from roomcast.rooms.brokers.nats.log import Log
from roomcast.rooms.brokers.nats.presence import Presence
from roomcast.rooms.brokers.nats.room import Room, Said
from roomcast.rooms.brokers.nats.stream import Stream
from roomcast.rooms.brokers.nats.streams import find_or_make
from roomcast.rooms.brokers.nats.subjects import Subjects
from roomcast.rooms.brokers.nats.url import Location
from roomcast.rooms.brokers.space import Space
from roomcast.rooms.publication import Position
from roomcast.rooms.retention import BY_DEFAULT, Retention

if TYPE_CHECKING:
    from roomcast.rooms.brokers.base import Deliver, Returned, Vanished
    from roomcast.rooms.brokers.history import History
    from roomcast.rooms.brokers.nats.connection import Message
    from roomcast.rooms.retention import Retentions

logger = logging.getLogger("roomcast.rooms")

WAITING_BYTES = 8 << 20
"""How many bytes of publications may be under way; who publishes more waits."""
OVERHEAD = 512
"""How many bytes a publication counts beside its payload."""
IDLE_ROOMS = 10_000
"""How many rooms are remembered beside those that are subscribed: where they end, and where some offsets are."""


class NatsBroker(Broker):
    """Keeps each room's order and newest publications in a stream of JetStream's.

    A publication is stored after the room's newest one, or not at all, and the server then repeats it to the nodes
    that have members in the room. Each node's presence is the server's to forget when the node dies.

    Args:
        location: the servers, and the names of the streams.
    """

    many_processes = True
    retention = Retention(size=1000, bytes=4 << 20, age=7 * 86400.0)

    def __init__(self, location: Location) -> None:
        self._location = location
        self._subjects = Subjects(location.prefix)
        self._deliver: Deliver = do_nothing
        self._returned: Returned = do_nothing
        self._retentions: Retentions = BY_DEFAULT
        self._link: Link | None = None
        self._log: Log
        self._presence: Presence
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        self._subscribed: dict[str, Room] = {}
        """The rooms that are subscribed, by the subject where they are carried."""
        self._space = Space(WAITING_BYTES)
        self._settled = False
        self._looking: asyncio.Task[None] | None = None

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make the broker that a URL names: see `Location.parse`.

        Raises:
            ConfigurationError: what it needs is not installed, or a setting cannot be.
        """
        location = Location.parse(url)
        if find_spec("nats") is None:
            raise ConfigurationError("nats:// needs the package nats-py: pip install 'roomcast[nats]'")
        return cls(location)

    @property
    def reachable(self) -> bool:
        """Whether NATS can be reached now, as far as that is known."""
        return self._link is not None and self._link.reachable

    async def open(
        self,
        deliver: Deliver,
        retentions: Retentions = BY_DEFAULT,
        *,
        returned: Returned = do_nothing,
        vanished: Vanished = do_nothing,
    ) -> None:
        """Connect, make the streams unless they are there, and deliver from now on.

        Raises:
            BrokerUnavailable: no server can be reached, or none lets this node in, or they have no JetStream, or
                streams of these names that are something else.
            ConfigurationError: what is needed is not installed, or not where it is said to be.
        """
        self._deliver, self._returned, self._retentions = deliver, returned, retentions
        link = Link(self._location, self._settle)
        streams = self._subjects
        self._log = Log(Stream(link, streams.log_stream), streams, self._lost)
        members, nodes = Stream(link, streams.presence_stream), Stream(link, streams.nodes_stream)
        self._presence = Presence(members, nodes, streams, vanished)
        self._members, self._nodes = members, nodes
        self._link, self._settled = link, False
        try:
            await link.open()
        except BaseException:
            self._link = None
            raise
        self._settled = True

    async def close(self) -> None:
        """Wait until what is under way has an outcome, say that this node goes, and disconnect."""
        link, self._link = self._link, None
        if link is None:
            return
        self._space.turn_away(_not_open())
        try:
            async with asyncio.timeout(self._location.timeout):
                await asyncio.gather(*(room.close() for room in list(self._rooms.values())))
                await self._presence.leave()
        except TimeoutError:
            logger.warning("%s was not told that this node goes: it does not answer", self._location)
        finally:
            self._deliver, self._returned = do_nothing, do_nothing
            await self._presence.stop()
            if self._looking is not None:
                self._looking.cancel()
            await link.close()
            self._rooms.clear()
            self._subscribed.clear()

    async def subscribe(self, room: str) -> None:
        """Deliver the room's publications from now on."""
        link = await self._ready()
        subject = self._subjects.live(room)
        if subject in self._subscribed:
            return
        state = self._room(room)
        await link.subscribe(subject, self._receive)
        self._subscribed[subject] = state
        try:
            await self._log.stream.catch_up(self._subjects.loss)
        except BaseException:
            await self.unsubscribe(room)
            raise

    async def unsubscribe(self, room: str) -> None:
        """Deliver the room's publications no more."""
        subject = self._subjects.live(room)
        if self._subscribed.pop(subject, None) is not None and self._link is not None:
            await self._link.unsubscribe(subject)

    async def publish(self, room: str, payload: bytes, *, key: str | None = None, keep: bool = True) -> Position:
        """Have the payload stored and carried, and return its position.

        Raises:
            BrokerUnavailable: it was not taken; where no answer came, it may be published all the same.
        """
        self._linked()
        size = len(payload) + OVERHEAD
        said = Said(payload, key, asyncio.get_running_loop().create_future(), keep=keep)
        try:
            async with asyncio.timeout(self._location.timeout):
                await self._space.take(size)
                try:
                    self._linked()
                    self._room(room).say(said)
                    return await said.done
                finally:
                    self._space.give(size)
        except TimeoutError:
            trouble = self._link.trouble if self._link is not None else ""
            raise BrokerUnavailable(
                f"{trouble or f'{self._location} does not answer'}; the publication may come all the same"
            ) from None

    async def history(
        self, room: str, *, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> History:
        """Read what is kept of the room."""
        await self._ready()
        retention = self._retentions.of(room, type(self).retention)
        state = self._rooms.get(room)
        start = state.marks.up_to if state is not None else _from_the_start
        return await self._log.history(room, retention, since, limit, start, reverse=reverse)

    async def arrive(self, room: str, member: str, presence: bytes) -> None:
        """Note a member's presence."""
        await self._ready()
        await self._presence.arrive(room, member, presence)

    async def depart(self, room: str, member: str) -> None:
        """Forget a member's presence."""
        self._linked()
        await self._presence.depart(room, member)

    async def present(self, room: str) -> list[bytes]:
        """Give the presence of all members in a room, on all nodes."""
        await self._ready()
        return await self._presence.present(room)

    async def rooms(self) -> dict[str, int]:
        """Give the rooms that have members, on any node, and how many."""
        await self._ready()
        return await self._presence.rooms()

    # What comes

    def _receive(self, message: Message) -> None:
        """Deliver what a room's subject carries: what the server has stored, or what is not kept."""
        room = self._subscribed.get(message.subject)
        if room is None:
            return
        headers = message.headers
        if HEADER not in headers:
            if "Nats-Sequence" in headers:
                return  # it is stored, and not by Roomcast
            for payload in payloads_of(headers, message.data):
                self._deliver(room.name, None, payload)
            return
        entry = Entry.read(headers, message.data, int(headers["Nats-Sequence"]), 0.0)
        room.heard(entry)
        self._log.witness(entry.sequence, headers[HEADER])
        if not entry.count:
            self._deliver(room.name, None, entry.payloads[0])
            return
        epoch = self._log.epoch_of(entry)
        for offset, payload in enumerate(entry.payloads, entry.first):
            self._deliver(room.name, Position(offset, epoch), payload)

    # A new connection

    async def _settle(self) -> None:
        """See to it, on a new connection, that all is there, and have the node look for what it has missed."""
        assert self._link is not None  # noqa: S101 - it calls this
        longest = self._retentions.longest_age(type(self).retention)
        found = await find_or_make(
            self._link, self._location, self._subjects, self._log.stream, self._members, self._nodes, longest
        )
        if not self._settled:
            await self._link.subscribe(self._subjects.loss, self._hear_of_loss)
        self._forget_ends(also_marks=not await self._log.settle(found))
        await self._presence.settle(found.presence_ttl)
        await self._log.stream.catch_up(self._subjects.loss)
        if self._settled:
            asyncio.get_running_loop().call_soon(self._returned)

    def _hear_of_loss(self, _message: Message) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._log.look_for_loss())

    def _lost(self) -> None:
        self._forget_ends(also_marks=True)
        if self.reachable:  # else it is told once all is there
            self._returned()

    def _forget_ends(self, *, also_marks: bool) -> None:
        for room in self._rooms.values():
            room.tail = None
            if also_marks:
                room.marks.clear()

    # Rooms that are in use

    def _room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is not None:
            self._rooms.move_to_end(name)
            return room
        retention = self._retentions.of(name, type(self).retention)
        room = self._rooms[name] = Room(name, self._linked(), self._log, self._subjects, retention)
        for _ in range(len(self._rooms)):
            if len(self._rooms) <= IDLE_ROOMS + len(self._subscribed):
                break
            oldest = next(iter(self._rooms))
            if oldest == name or self._rooms[oldest].busy or self._subjects.live(oldest) in self._subscribed:
                self._rooms.move_to_end(oldest)
            else:
                del self._rooms[oldest]
        return room

    async def _ready(self) -> Link:
        """Wait until NATS can be reached, for as long as the URL says."""
        link = self._linked()
        await link.available()
        return link

    def _linked(self) -> Link:
        if self._link is None:
            raise _not_open()
        return self._link


def _from_the_start(_offset: int) -> int:
    return 0


def _not_open() -> BrokerUnavailable:
    return BrokerUnavailable("the broker is not open; nothing was published")
