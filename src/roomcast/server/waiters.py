"""Waiters: coroutines that wait until somebody wakes them."""

from __future__ import annotations

from asyncio import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Waiters:
    """Mostly one coroutine that waits, and seldom more.

    Args:
        loop: the event loop.
    """

    __slots__ = ("_loop", "_others", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiter: Future[None] | None = None
        self._others: list[Future[None]] | None = None

    def wait(self) -> Future[None]:
        """Give a future that is done at the next `wake`."""
        waiter: Future[None] = Future(loop=self._loop)  # as the loop's `create_future`, a call less
        if self._waiter is None or self._waiter.done():
            self._waiter = waiter
        elif self._others is None:
            self._others = [waiter]
        else:
            self._others.append(waiter)
        return waiter

    def wake(self) -> None:
        """Wake all that wait."""
        waiter = self._waiter
        if waiter is None:
            return
        self._waiter = None
        if not waiter.done():  # it is where its coroutine was cancelled
            waiter.set_result(None)
        others = self._others
        if others is not None:
            self._others = None
            for other in others:
                if not other.done():
                    other.set_result(None)
