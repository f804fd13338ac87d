"""Callbacks: what an app wants to be told of joins and leaves in its own process."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, NamedTuple

from roomcast.errors import RoomsClosed

if TYPE_CHECKING:
    from typing import TypeAlias

    from roomcast.rooms.presence import Presence

logger = logging.getLogger("roomcast.rooms")

CALLBACK_TIMEOUT = 10.0
"""How many seconds one callback may take."""
CLOSE_TIMEOUT = 5.0
"""How many seconds the closing of the rooms waits for callbacks that have not been called yet."""
MOST_WAITING = 10_000
"""How many joins may wait for their callbacks; of what joins beyond, and later leaves, nothing is told."""

Callback: TypeAlias = Callable[[str, "Presence"], Awaitable[object] | object]
"""Called with the room and the member: a function that returns soon, or a coroutine function."""


class _Call(NamedTuple):
    callback: Callback
    room: str
    member: Presence


class Callbacks:
    """Calls back one after the other, in the order in which things happened, in a task of its own.

    So nobody who joins, leaves or publishes waits for a callback. What a callback raises is logged.
    """

    def __init__(self) -> None:
        self._on_join: list[Callback] = []
        self._on_leave: list[Callback] = []
        self._waiting: deque[_Call] = deque()
        self._calling: asyncio.Task[None] | None = None
        self.untold = 0
        """Of how many joins nothing was told, because too many waited."""

    def on_join(self, callback: Callback) -> None:
        """Call back for each join."""
        self._on_join.append(callback)

    def on_leave(self, callback: Callback) -> None:
        """Call back for each leave."""
        self._on_leave.append(callback)

    def joined(self, room: str, member: Presence) -> bool:
        """Tell of a join, and say whether it is told: if not, its leave is not to be told either."""
        if len(self._waiting) >= MOST_WAITING:
            if not self.untold:
                logger.error("callbacks are too slow: %d wait, and what joins now is not told", MOST_WAITING)
            self.untold += 1
            return False
        self._tell(self._on_join, room, member)
        return True

    def left(self, room: str, member: Presence) -> None:
        """Tell of a leave."""
        self._tell(self._on_leave, room, member)

    async def close(self) -> None:
        """Wait for what is not told yet, `CLOSE_TIMEOUT` seconds at most."""
        if self._calling is None:
            return
        await asyncio.wait([self._calling], timeout=CLOSE_TIMEOUT)
        if self._calling is not None:
            logger.error("the rooms close, and %d callbacks were not called or not over", len(self._waiting) + 1)
            self._waiting.clear()
            self._calling.cancel()
            await asyncio.wait([self._calling])

    def _tell(self, callbacks: list[Callback], room: str, member: Presence) -> None:
        self._waiting.extend(_Call(callback, room, member) for callback in callbacks)
        if self._waiting and self._calling is None:
            # In no context of the handler that joins, which is another one's than the next to be told of.
            self._calling = asyncio.create_task(self._call(), context=contextvars.Context())

    async def _call(self) -> None:
        try:
            while self._waiting:
                await _call(self._waiting.popleft())
        finally:
            self._calling = None


async def _call(call: _Call) -> None:
    deadline = asyncio.timeout(CALLBACK_TIMEOUT)
    try:
        async with deadline:
            result = call.callback(call.room, call.member)
            if isawaitable(result):
                await result
    except RoomsClosed:
        logger.debug("%r wanted something of rooms that close", call.callback)
    except Exception:
        late = f" took longer than {CALLBACK_TIMEOUT:g} s" if deadline.expired() else " raised"
        logger.exception("%r%s, for member %s of %r", call.callback, late, call.member.id, call.room)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        logger.exception("%r was cancelled, for member %s of %r", call.callback, call.member.id, call.room)
