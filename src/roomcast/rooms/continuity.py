"""Continuity: each room's publications in their order, each once, over a broker whose connection can be lost."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.base import do_nothing
from roomcast.rooms.names import is_internal

if TYPE_CHECKING:
    from typing import TypeAlias

    from roomcast.rooms.brokers.base import Broker, Deliver
    from roomcast.rooms.brokers.history import History
    from roomcast.rooms.publication import Position

logger = logging.getLogger("roomcast.rooms")

TURN = 256
"""How many missed publications of a room are delivered in one turn of the event loop."""
MOST_KEPT_BACK = 1 << 20
"""How many bytes of a room's publications are kept back while its gap is filled. The history has the rest."""
FILLERS = 16
"""How many rooms are looked through at once after the connection was lost."""
REACH_TIMEOUT = 5.0
"""For how many seconds a member that resumes waits for what its node is still to deliver."""
RETRY = 0.25, 5.0
"""After how many seconds the history is asked again where it cannot be reached: at first, and at most."""

Lost: TypeAlias = Callable[[str], None]
"""Called with a room of which publications are lost for this node: the history does not reach back to them."""


class Continuity:
    """Stands between a broker that many nodes share and a node's members, and lets no gap through.

    The offsets of a room's publications follow on one another. One that is not the next shows that some were
    missed: they are asked of the history and delivered first. What comes twice is delivered once. What is not kept
    has no offset: it is passed on as it comes.

    Args:
        broker: where rooms are subscribed to, and whose history fills the gaps.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._deliver: Deliver = do_nothing
        self._lost: Lost = do_nothing
        self._rooms: dict[str, _Room] = {}
        self._unsure: deque[_Room] = deque()
        """Rooms that may have missed something, and have no filler yet."""
        self._fillers: set[asyncio.Task[None]] = set()
        self.filled = 0
        """How many publications were missed, and delivered from the history."""
        self.gaps = 0
        """How often a gap could not be filled."""

    def open(self, deliver: Deliver, lost: Lost) -> Deliver:
        """Give what the broker is to deliver to.

        Args:
            deliver: called with each publication when it is its turn.
            lost: called with a room where a gap cannot be filled.
        """
        self._deliver = deliver
        self._lost = lost
        return self.take

    async def subscribe(self, room: str) -> None:
        """Subscribe at the broker, and know from which position on.

        Raises:
            BrokerUnavailable: if the broker cannot be reached.
        """
        if is_internal(room):
            await self._broker.subscribe(room)
            return
        state = self._rooms[room] = _Room(room)
        try:
            await self._broker.subscribe(room)
            position = (await self._broker.history(room, limit=0)).position
        except BaseException:
            del self._rooms[room]
            raise
        # Nobody was in the room to miss anything so far: who comes now goes on from the newest of the two.
        if state.last is None or _follows(state.last, position):
            state.last = position
        if state.again and not state.filling:
            self._doubt(state)

    async def unsubscribe(self, room: str) -> None:
        """Unsubscribe at the broker.

        Raises:
            BrokerUnavailable: if the broker cannot be reached.
        """
        state = self._rooms.pop(room, None)
        if state is not None:
            state.over = True
            state.settled.set()
        await self._broker.unsubscribe(room)

    def take(self, room: str, position: Position | None, payload: bytes) -> None:
        """Take what the broker carries: pass it on, keep it back until its turn, or drop what came before."""
        state = self._rooms.get(room)
        if state is None or position is None:
            self._deliver(room, position, payload)
        elif state.filling:
            state.keep_back(position, payload)
        elif state.last is None or _is_next(state.last, position):
            state.last = position
            self._deliver(room, position, payload)
        elif not _came_before(state.last, position):
            state.keep_back(position, payload)
            self._doubt(state)

    def returned(self) -> None:
        """Look through all rooms: the connection was lost for a while, and is back."""
        for state in self._rooms.values():
            if state.last is not None and not state.filling:
                self._doubt(state)
            else:
                state.again = True  # what is being asked may have been answered before the connection was lost

    async def reach(self, room: str, position: Position) -> None:
        """Wait until the room's members have got what came up to a position, or are told that it is lost.

        A history can tell of publications that are still on their way here, on another connection.

        Raises:
            BrokerUnavailable: if they cannot be had in time.
        """
        state = self._rooms.get(room)
        if state is None or state.last is None or not _follows(state.last, position):
            return
        if not state.filling:
            self._doubt(state)
        try:
            async with asyncio.timeout(REACH_TIMEOUT):
                await state.settled.wait()
        except TimeoutError:
            raise BrokerUnavailable(f"the newest publications of room {room!r} cannot be had") from None

    async def close(self) -> None:
        """Fill no more gaps."""
        self._rooms.clear()
        self._unsure.clear()
        for filler in self._fillers:
            filler.cancel()
        if self._fillers:
            await asyncio.wait(self._fillers)

    def _doubt(self, state: _Room) -> None:
        state.filling = True
        state.settled.clear()
        self._unsure.append(state)
        if len(self._fillers) < FILLERS:
            filler = asyncio.create_task(self._fill_all())
            self._fillers.add(filler)
            filler.add_done_callback(self._fillers.discard)

    async def _fill_all(self) -> None:
        while self._unsure:
            state = self._unsure.popleft()
            try:
                await self._fill(state)
            except Exception:
                # A room that nobody fills would keep back all that comes, for ever.
                logger.exception("what room %r missed cannot be read: its members are told to resume", state.room)
                self._give_up(state, None)

    async def _fill(self, state: _Room) -> None:
        """Deliver what was missed, then what came meanwhile, until nothing is missing any more."""
        while not state.over and state.last is not None:
            state.again = False
            history = await self._history(state, state.last)
            if history is None:
                return
            if not history.complete:
                self._give_up(state, history.position)
                return
            for count, (position, payload) in enumerate(history.kept, 1):
                if _follows(state.last, position):  # the first of an empty room may begin another numbering
                    state.last = position
                    self.filled += 1
                    self._deliver(state.room, position, payload)
                if count % TURN == 0:
                    await asyncio.sleep(0)
            if self._deliver_kept_back(state) and not state.again:
                state.filling = False
                state.settled.set()
                return

    async def _history(self, state: _Room, since: Position) -> History | None:
        """Ask the history until it answers; None where nobody needs the room any more."""
        wait, most = RETRY
        while not state.over:
            try:
                return await self._broker.history(state.room, since=since)
            except BrokerUnavailable:
                await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - spreads the load, hides nothing
                wait = min(wait * 2, most)
        return None

    def _deliver_kept_back(self, state: _Room) -> bool:
        """Deliver what was kept back while it follows on, and say whether nothing is missing."""
        kept_back, complete = state.let_out()
        for position, payload in kept_back:
            if state.last is None or _is_next(state.last, position):
                state.last = position
                self._deliver(state.room, position, payload)
            elif not _came_before(state.last, position):
                return False
        return complete

    def _give_up(self, state: _Room, position: Position | None) -> None:
        self.gaps += 1
        state.let_out()
        state.last = position
        state.filling = False
        state.settled.set()
        if not state.over:
            self._lost(state.room)


class _Room:
    """How far a room's publications have come.

    Attributes:
        last: the position of the newest that was delivered; None until it is known.
        filling: whether something may be missing, and is being asked for.
        settled: set while it is not.
        again: whether something may be missing that the question under way does not cover.
        over: whether nobody needs the room any more.
    """

    __slots__ = ("_bytes", "_complete", "_kept_back", "again", "filling", "last", "over", "room", "settled")

    def __init__(self, room: str) -> None:
        self.room = room
        self.last: Position | None = None
        self.filling = False
        self.settled = asyncio.Event()
        self.again = False
        self.over = False
        self._kept_back: list[tuple[Position, bytes]] = []
        self._bytes = 0
        self._complete = True

    def keep_back(self, position: Position, payload: bytes) -> None:
        """Keep a publication until its turn, or leave it to the history where too many wait."""
        self._bytes += len(payload)
        if self._bytes <= MOST_KEPT_BACK:
            self._kept_back.append((position, payload))
        else:
            self._complete = False

    def let_out(self) -> tuple[list[tuple[Position, bytes]], bool]:
        """Give what was kept back, and whether that is all that came."""
        kept_back, complete = self._kept_back, self._complete
        self._kept_back, self._bytes, self._complete = [], 0, True
        return kept_back, complete


def _is_next(last: Position, position: Position) -> bool:
    return position.offset == last.offset + 1 and position.numbering == last.numbering


def _came_before(last: Position, position: Position) -> bool:
    return position.numbering == last.numbering and position.offset <= last.offset


def _follows(last: Position, position: Position) -> bool:
    return position.numbering != last.numbering or position.offset > last.offset
