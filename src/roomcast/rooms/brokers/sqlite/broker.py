"""The broker whose rooms are in a file of SQLite's: what was published outlives the process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Self, TypeVar

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.base import do_nothing
from roomcast.rooms.brokers.local import LocalBroker
from roomcast.rooms.brokers.space import Space
from roomcast.rooms.brokers.sqlite.file import RoomsFile
from roomcast.rooms.brokers.sqlite.requests import Locate, Publish, Read, Request, Sweep
from roomcast.rooms.brokers.sqlite.url import Location
from roomcast.rooms.brokers.sqlite.writer import Writer
from roomcast.rooms.retention import BY_DEFAULT, Retention

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.rooms.brokers.base import Deliver, Returned, Vanished
    from roomcast.rooms.brokers.history import History
    from roomcast.rooms.publication import Position
    from roomcast.rooms.retention import Retentions

T = TypeVar("T")
logger = logging.getLogger("roomcast.rooms")

WAITING_BYTES = 8 << 20
"""How many bytes of publications may wait for the file; who publishes more waits."""
TURN_BYTES = 64 << 10
"""How many bytes are delivered in one turn of the event loop, so that the members' writers run in between."""
SWEEP_INTERVAL = 30.0
"""How many seconds lie between two looks for what has grown too old."""


class SqliteBroker(LocalBroker):
    """Keeps each room's order and newest publications in a file.

    A publication is delivered, and its `publish` returns, once it is on the disk; all that is published while the
    disk is busy is written together. Where the file cannot be written, the members get it nevertheless, and
    `publish` raises NotKept. Who is present is known in this process only, as the file belongs to it alone.

    Args:
        location: the file, and how sure a commit is to be.
        clock: gives the time in seconds since the Unix epoch.
    """

    retention = Retention(size=1000, bytes=4 << 20, age=30 * 86400.0)

    def __init__(self, location: Location, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._location = location
        self._clock = clock
        self._file: RoomsFile | None = None
        self._writer: Writer | None = None
        self._rooms: dict[str, _Room] = {}
        self._done: deque[Request] = deque()
        self._turn: asyncio.Handle | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._space = Space(WAITING_BYTES)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make the broker that a URL names: see `Location.parse`."""
        return cls(Location.parse(url))

    @property
    def not_kept(self) -> int:
        """How many publications were carried to the members, but could not be kept."""
        return 0 if self._file is None else self._file.not_kept

    async def open(
        self,
        deliver: Deliver,
        retentions: Retentions = BY_DEFAULT,
        *,
        returned: Returned = do_nothing,
        vanished: Vanished = do_nothing,
    ) -> None:
        """Take the file, and deliver from now on.

        Raises:
            BrokerInUse: another process has it.
            ConfigurationError: it cannot be a file of rooms.
            BrokerUnavailable: it cannot be used now.
        """
        await super().open(deliver, retentions, returned=returned, vanished=vanished)
        loop = asyncio.get_running_loop()
        described = f"{retentions!r} {type(self).retention!r}"
        file = RoomsFile(self._location, self.retention_of, described, self._clock)
        writer = Writer(file, self._complete, loop)
        await writer.start()
        self._file, self._writer = file, writer
        self._sweeping = loop.call_later(SWEEP_INTERVAL, self._sweep)

    async def close(self) -> None:
        """Wait until all is on the disk that was published, and let go of the file."""
        writer, self._writer = self._writer, None
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._space.turn_away(_not_open())
        if writer is not None:
            await writer.stop()
        self._take_turn(at_most=None)
        self._rooms.clear()
        await super().close()

    async def subscribe(self, room: str) -> None:
        """Deliver the room's publications from now on."""
        state = self._hold(room)
        try:
            if state.position is None:
                located = Locate(room, asyncio.get_running_loop().create_future())
                self._ask(located)
                await located.done
                if self._writer is None:
                    raise _not_open()
            self._subscribed.add(room)
        finally:
            self._let_go(room)

    async def unsubscribe(self, room: str) -> None:
        """Deliver the room's publications no more."""
        await super().unsubscribe(room)
        if room in self._rooms:
            self._hold(room)
            self._let_go(room)

    async def publish(self, room: str, payload: bytes, *, key: str | None = None, keep: bool = True) -> Position:
        """Have the payload written, delivered, and then return its position.

        What is not kept and has no key goes to the members at once, unless something of its room is on the way.
        """
        state = self._rooms.get(room)
        if not keep and key is None and state is not None and not state.held and state.position is not None:
            if room in self._subscribed:
                self._deliver(room, None, payload)
            return state.position
        publication = Publish(room, payload, key, keep, asyncio.get_running_loop().create_future())
        await self._space.take(publication.size)
        try:
            self._ask(publication)
        except BrokerUnavailable:
            self._space.give(publication.size)
            raise
        self._hold(room)
        return await publication.done

    async def history(
        self, room: str, *, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> History:
        """Read what is kept of the room."""
        read = Read(room, since, limit, reverse, asyncio.get_running_loop().create_future())
        self._ask(read)
        return await read.done

    def _ask(self, request: Request) -> None:
        if self._writer is None:
            raise _not_open()
        self._writer.ask(request)

    # What was done comes back

    def _complete(self, requests: list[Request]) -> None:
        self._done.extend(requests)
        if self._turn is None:
            self._take_turn()

    def _take_turn(self, at_most: int | None = TURN_BYTES) -> None:
        """Deliver and answer what was done, in its order, as much as one turn of the event loop is to have."""
        self._turn = None
        delivered = 0
        while self._done:
            if at_most is not None and delivered > at_most:
                self._turn = asyncio.get_running_loop().call_soon(self._take_turn)
                return
            match self._done.popleft():
                case Publish() as publication:
                    delivered += publication.size
                    self._deliver_one(publication)
                case Read() as read:
                    _answer(read.done, read.found, read.error)
                case Locate() as located:
                    if located.room in self._rooms:
                        self._rooms[located.room].position = located.found
                    _answer(located.done, located.found, None)
                case Sweep() as sweep:
                    self._swept(sweep)

    def _deliver_one(self, publication: Publish) -> None:
        room = publication.room
        self._space.give(publication.size)
        if publication.durable and publication.newest is not None:
            self._rooms[room].position = publication.newest
        self._let_go(room)
        if publication.carried and room in self._subscribed:
            try:
                self._deliver(room, publication.position, publication.payload)
            except Exception:
                logger.exception("a publication could not be delivered")
        _answer(publication.done, publication.answer, publication.error)

    # Rooms that are in use

    def _hold(self, room: str) -> _Room:
        """Remember the room: something of it is on the way."""
        state = self._rooms.setdefault(room, _Room())
        state.held += 1
        return state

    def _let_go(self, room: str) -> None:
        state = self._rooms.get(room)
        if state is not None:  # the broker may have been closed in the meantime
            state.held -= 1
            if not state.held and room not in self._subscribed:
                del self._rooms[room]

    def _sweep(self) -> None:
        if self._writer is not None:
            self._writer.ask(Sweep(frozenset(self._rooms)))

    def _swept(self, sweep: Sweep) -> None:
        for room in sweep.forgotten:
            if room in self._rooms:  # it came into use in the meantime
                self._rooms[room].position = None
        if self._writer is not None:
            delay = 0.0 if sweep.more else SWEEP_INTERVAL
            self._sweeping = asyncio.get_running_loop().call_later(delay, self._sweep)


class _Room:
    """A room that somebody is in, or that something is on the way of.

    Attributes:
        position: its newest position that was delivered; None where that is not known.
        held: how much of it is on the way to the file and back.
    """

    __slots__ = ("held", "position")

    def __init__(self) -> None:
        self.position: Position | None = None
        self.held = 0


def _answer(future: asyncio.Future[T], answer: T | None, error: Exception | None) -> None:
    if future.done():
        return  # whoever asked has gone
    if answer is not None:
        future.set_result(answer)
    else:
        future.set_exception(error or BrokerUnavailable("the broker gave no answer"))


def _not_open() -> BrokerUnavailable:
    return BrokerUnavailable("the broker is not open; nothing was published")
