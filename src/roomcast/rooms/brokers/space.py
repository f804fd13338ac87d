"""Space: a bound in bytes on what waits, and a queue for those who find none."""

from __future__ import annotations

import asyncio
from collections import deque


class Space:
    """Lets those wait who want to add more than fits, in their order.

    Args:
        bound: how many bytes there may be. One thing always fits where there is nothing else, whatever its size.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._taken = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> None:
        """Wait until `size` bytes fit, and take them."""
        if not self._waiters and self._fits(size):
            self._taken += size
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((size, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give(size)  # it was let in, and does not come
            raise

    def give(self, size: int) -> None:
        """Give back `size` bytes, and let in whom they are enough for."""
        self._taken -= size
        while self._waiters and (self._waiters[0][1].done() or self._fits(self._waiters[0][0])):
            wanted, waiter = self._waiters.popleft()
            if not waiter.done():
                self._taken += wanted
                waiter.set_result(None)

    def turn_away(self, error: Exception) -> None:
        """Have everyone who waits raise an error."""
        while self._waiters:
            _, waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    def _fits(self, size: int) -> bool:
        return not self._taken or self._taken + size <= self._bound
