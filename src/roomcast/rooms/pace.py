"""Pace: how much is published in one turn of the event loop."""

from __future__ import annotations

import asyncio

from roomcast.backlog import MESSAGE_BYTES


class Pace:
    """Lets the members' writers run between publications, however many tasks publish at the same moment.

    What is published within one turn of the event loop waits for every member, also for those that are not slow at
    all: their writers have had no turn yet. So what is too much for one turn is published in several.

    Args:
        turn_bytes: how many bytes are published in one turn. One publication always is, whatever its size.
    """

    def __init__(self, turn_bytes: int) -> None:
        self._turn_bytes = turn_bytes
        self._published = 0

    async def take(self, size: int) -> None:
        """Wait for a turn that a publication of `size` bytes can be made in. It is to be made at once then."""
        while self._published and self._published + size > self._turn_bytes:  # noqa: ASYNC110 - a turn is waited for
            await asyncio.sleep(0)
        if not self._published:
            asyncio.get_running_loop().call_soon(self._begin_turn)
        self._published += size + MESSAGE_BYTES

    def _begin_turn(self) -> None:
        self._published = 0
