"""Pace: how much is published in one turn of the event loop."""

from __future__ import annotations

import asyncio

from roomcast.backlog import MESSAGE_BYTES
from roomcast.rooms.turns import turns_of

DELIVERIES = 10_000
"""How many messages are handed to members in one turn before what is published next waits for another: some
milliseconds' worth."""


class Pace:
    """Lets everything else run between publications, however many tasks publish at the same moment.

    What is published within one turn of the event loop waits for every member, also for those that are not slow at
    all: their writers have had no turn yet. And what it takes to hand it to all of them, nobody else is served. So
    what is too much for one turn is published in several.

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
        self._published = 0
        self._delivered = 0

    async def take(self, size: int) -> None:
        """Wait for a turn that a publication of `size` bytes can be made in. It is to be made at once then."""
        while self._is_too_much(size):  # noqa: ASYNC110 - a turn is waited for
            await asyncio.sleep(0)
        self._begin()
        self.turns += 1
        self._published += size + MESSAGE_BYTES

    def delivered(self, count: int) -> None:
        """Note that a publication was handed to so many members."""
        self._begin()
        self.deliveries += count
        self._delivered += count

    def _is_too_much(self, size: int) -> bool:
        if self._delivered >= DELIVERIES:
            return True
        return self._published > 0 and self._published + size > self._turn_bytes

    def _begin(self) -> None:
        if not self._published and not self._delivered:
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        loop = asyncio.get_running_loop()
        if turns_of(loop).is_behind:  # a peer that does not read had others wait, who are not to be full for it
            loop.call_soon(self._end)
            return
        self._published = self._delivered = 0
