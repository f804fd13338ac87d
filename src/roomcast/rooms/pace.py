"""Pace: how much is published in one turn of the event loop, and by whom."""

from __future__ import annotations

import asyncio
from collections import deque

from roomcast.backlog import MESSAGE_BYTES
from roomcast.rooms.turns import turns_of

WORK = 10_000
"""How much work is done in one turn before what is published next waits for another, some milliseconds' worth:
counted in messages that are handed to members."""
PUBLICATION = 400
"""How much work a publication is by itself: it is read, checked, written and kept."""


class Pace:
    """Lets everything else run between publications, however many tasks publish at the same moment.

    What is published within one turn of the event loop waits for every member, also for those that are not slow at
    all: their writers have had no turn yet. And what it takes to hand it to all of them, nobody else is served. So
    what is too much for one turn is published in several. Who has to wait has a place in the next turn, in order
    of coming: else the first of those who publish without end would have every turn for itself.

    Args:
        turn_bytes: how many bytes are published in one turn. One publication always is, whatever its size.

    Attributes:
        turns: how many times something was published in this process so far: by apps, and of joins and leaves.
        deliveries: how many messages were handed to members so far.
    """

    def __init__(self, turn_bytes: int) -> None:
        self.turns = 0
        self.deliveries = 0
        self._turn_bytes = turn_bytes
        self._usual_work = PUBLICATION
        """How much work a publication was lately."""
        self.begin()

    def begin(self) -> None:
        """Begin anew, in whatever event loop runs now: with the one before, the end of its last turn has gone."""
        self._is_on = False
        """Whether a turn is, which ends by itself."""
        self._bytes = 0
        self._work = 0
        self._handed_out = 0
        """How many publications were handed to members in this turn, from wherever they came."""
        self._deliveries = 0
        """To how many members, all together."""
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    async def take(self, size: int) -> None:
        """Wait for a turn that a publication of `size` bytes can be made in. It is to be made at once then."""
        self._begin()
        if self._waiting or self._is_too_much(size, self._work):
            place = asyncio.get_running_loop().create_future()
            self._waiting.append((place, size))
            await place
        else:
            self._charge(size)
        self.turns += 1

    def delivered(self, count: int) -> None:
        """Note that a publication was handed to so many members."""
        self._begin()
        self.deliveries += count
        self._handed_out += 1
        self._deliveries += count
        self._work += count

    def _is_too_much(self, size: int, work: int) -> bool:
        return work >= WORK or (self._bytes > 0 and self._bytes + size > self._turn_bytes)

    def _charge(self, size: int) -> None:
        self._bytes += size + MESSAGE_BYTES
        self._work += PUBLICATION

    def _begin(self) -> None:
        if not self._is_on:
            self._is_on = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        loop = asyncio.get_running_loop()
        if turns_of(loop).is_behind:  # a peer that does not read had others wait, who are not to be full for it
            loop.call_soon(self._end)
            return
        if self._handed_out:
            self._usual_work = PUBLICATION + self._deliveries // self._handed_out
        self._bytes = self._work = self._handed_out = self._deliveries = 0
        self._let_in()
        self._is_on = self._work > 0 or len(self._waiting) > 0
        if self._is_on:
            loop.call_soon(self._end)  # behind those who were let in

    def _let_in(self) -> None:
        """Let those publish who wait, as many as this turn has room for as far as can be told."""
        work = 0
        while self._waiting:
            place, size = self._waiting[0]
            if not place.done():  # it is where its task was cancelled
                if self._is_too_much(size, work):
                    break
                self._charge(size)
                work += self._usual_work
                place.set_result(None)
            self._waiting.popleft()
