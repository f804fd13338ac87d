"""Draining: how a server that goes sees its connections off.

They would all come back in the same second if they were all closed at once: to the node that is left, or to this
one when it has just started again. So they are closed one after the other, in a random order and at random
distances.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from typing import TYPE_CHECKING, Protocol

from roomcast.health import health

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger("roomcast.server")

RESTART = "The server restarts."
"""Why connections are closed, or refused."""
RATE = 20
"""How many connections a second are few enough to come back together: less time is not taken than for that."""
LAST_SECONDS = 0.5
"""How much of the time is left for the app's shutdown when the last connections are cut."""
SPREAD = 0.8
"""Over which part of the time before that connections are closed; the rest is for the last ones to answer."""
WAVE = 0.02
"""How many seconds lie between two waves at the least."""


class Leaving(Protocol):
    """A connection that is to be seen off."""

    def depart(self) -> None:
        """Begin the end: nothing more is taken, and what is queued is written."""

    def closing_is_late(self) -> None:
        """Be over, whatever the peer and the app still do."""

    def is_opening(self) -> bool:
        """Whether its handshake is not answered yet: it is refused, and needs no turn."""


class Drain:
    """Closes connections over a while, and cuts those that are left at its end.

    Args:
        loop: the event loop.
        seconds: how long all of it may take.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self.cut_after = seconds - min(LAST_SECONDS, seconds / 2)
        """After how many seconds what is left is cut."""
        self._leaving: dict[Leaving, None] = {}
        self._waves: deque[tuple[float, Leaving]] = deque()
        self._begun = False

    @property
    def is_on(self) -> bool:
        """Whether the server goes."""
        return self._begun or bool(self._leaving)

    def add(self, connection: Leaving) -> None:
        """See a connection off. Those that are added in the same turn of the event loop go in waves."""
        if connection in self._leaving:
            return
        if not self._leaving and not self._begun:
            health.drains.add(self)
            self._loop.call_soon(self._begin)
        self._leaving[connection] = None
        if self._begun or connection.is_opening():
            connection.depart()

    def discard(self, connection: Leaving) -> None:
        """It has gone."""
        self._leaving.pop(connection, None)
        if self._begun and not self._leaving:
            health.drains.discard(self)

    def _begin(self) -> None:
        self._begun = True
        start = self._loop.time()
        leaving = list(self._leaving)
        random.shuffle(leaving)
        spread = min(len(leaving) / RATE, self.cut_after * SPREAD)
        logger.debug("the server goes: %d connections are closed within %.2g s", len(leaving), spread)
        for number, connection in enumerate(leaving):
            at = start + spread * (number + random.random()) / len(leaving)  # noqa: S311 - nobody is to be surprised
            self._waves.append((at, connection))
        self._loop.call_at(start + self.cut_after, self._cut)
        self._next_wave()

    def _next_wave(self) -> None:
        until = self._loop.time() + WAVE
        while self._waves and self._waves[0][0] <= until:
            connection = self._waves.popleft()[1]
            if connection in self._leaving:
                connection.depart()
        if self._waves:
            self._loop.call_at(self._waves[0][0], self._next_wave)

    def _cut(self) -> None:
        self._waves.clear()
        for connection in tuple(self._leaving):
            connection.closing_is_late()
