"""Waiters: coroutines that wait until somebody wakes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Waiters:
    """Mostly one coroutine that waits, and seldom more.

    Args:
        loop: the event loop.
    """

    __slots__ = ("_first", "_loop", "_others")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._first: asyncio.Future[None] | None = None
        self._others: list[asyncio.Future[None]] | None = None

    def wait(self) -> asyncio.Future[None]:
        """Give a future that is done at the next `wake`."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        if self._first is None or self._first.done():
            self._first = waiter
        elif self._others is None:
            self._others = [waiter]
        else:
            self._others.append(waiter)
        return waiter

    def wake(self) -> None:
        """Wake all that wait."""
        waiter = self._first
        if waiter is None:
            return
        self._first = None
        if not waiter.done():  # it is where its coroutine was cancelled
            waiter.set_result(None)
        others = self._others
        if others is not None:
            self._others = None
            for other in others:
                if not other.done():
                    other.set_result(None)
