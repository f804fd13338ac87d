"""Turns: connections are written to so many at a time that the event loop is never stopped for long."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from typing import Protocol
from weakref import WeakKeyDictionary

STARTS = 128
"""How many are written to in one turn of the event loop: some milliseconds' worth."""


class Writable(Protocol):
    """What waits to be written to.

    It is kept as it is, and not as a function to call: an object made for each member of a room of thousands would
    have the garbage collector look through them all, for longer than everything else takes.
    """

    async def write(self, writer: asyncio.Task[None] | None) -> None:
        """Write all that waits, in a task that may be cancelled meanwhile. It must raise nothing else."""


class Turns:
    """Writes to `STARTS` in a turn of the event loop, and to the rest in the next ones, in order.

    One task writes to one after the other, as long as none of them has it wait: mostly a server takes a message at
    once, and a task for each would cost more than to send it. A task that had to wait for a peer goes on with that
    one alone, and another one takes over the others in the next turn.

    Args:
        loop: the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._number = 0
        self._is_due = False
        self._waiting: deque[Writable] = deque()
        self._writers: set[asyncio.Task[None]] = set()

    @property
    def is_behind(self) -> bool:
        """Whether something waits for its turn."""
        return bool(self._waiting)

    def take(self, writable: Writable) -> None:
        """Have something written to, as soon as it is its turn."""
        self._waiting.append(writable)
        if not self._is_due:
            self._is_due = True
            self._begin()

    def _begin(self) -> None:
        self._number += 1
        if not self._waiting:
            self._is_due = False
            return
        # In no context of the handler that publishes: what waits may be of others, too.
        writer = self._loop.create_task(self._write(self._number), context=contextvars.Context())
        self._writers.add(writer)
        writer.add_done_callback(self._writers.discard)
        self._loop.call_soon(self._begin)  # right after what the writer can do without waiting

    async def _write(self, turn: int) -> None:
        writer = asyncio.current_task()
        for _ in range(STARTS):
            if not self._waiting:
                return
            await self._waiting.popleft().write(writer)
            if turn != self._number:
                return  # it had to wait: the next turn has begun, and what is left is that one's


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    """Give the turns of an event loop: one for all who use it."""
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = Turns(loop)
    return turns
