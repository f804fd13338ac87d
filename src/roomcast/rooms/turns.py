"""Turns: what can wait is started so much at a time that the event loop is never stopped for long."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import asyncio

STARTS = 128
"""How much is started in one turn of the event loop: some milliseconds' worth of writers."""


class Startable(Protocol):
    """What waits for its turn.

    It is kept as it is, and not as a function to call: an object made for each member of a room of thousands would
    have the garbage collector look through them all, for longer than everything else takes.
    """

    def start(self) -> None:
        """Begin. It must not raise."""


class Turns:
    """Starts `STARTS` things at once, and the rest in the next turns of the event loop, in order.

    Args:
        loop: the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._started = 0
        self._waiting: deque[Startable] = deque()

    def take(self, startable: Startable) -> None:
        """Have something started: now, or as soon as it is its turn."""
        if not self._started:
            self._loop.call_soon(self._next)
        if self._started < STARTS:
            self._started += 1
            startable.start()
        else:
            self._waiting.append(startable)

    def _next(self) -> None:
        self._started = min(STARTS, len(self._waiting))
        if self._started:
            self._loop.call_soon(self._next)
        for _ in range(self._started):
            self._waiting.popleft().start()


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    """Give the turns of an event loop: one for all who use it."""
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = Turns(loop)
    return turns
