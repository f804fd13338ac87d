"""Inbox: the messages that have come and wait for the app, bounded in bytes: at the bound, reading pauses."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from roomcast.server.waiters import Waiters

if TYPE_CHECKING:
    import asyncio

MESSAGE_OVERHEAD = 64
"""What a waiting message counts beside its length, so that a flood of empty ones is bounded, too."""


class Inbox:
    """What has come and waits for the app, in order.

    Args:
        loop: the event loop.
        bound: how many bytes may wait before it is full.
    """

    __slots__ = ("_bound", "_bytes", "_messages", "_receivers")

    def __init__(self, loop: asyncio.AbstractEventLoop, bound: int) -> None:
        self._bound = bound
        self._bytes = 0
        self._messages: deque[str | bytes] = deque()
        self._receivers = Waiters(loop)

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._messages

    def is_full(self) -> bool:
        """Whether so much waits that no more should be read."""
        return self._bytes >= self._bound

    def has_room(self) -> bool:
        """Whether so little waits that more should be read, where reading has paused."""
        return self._bytes * 2 <= self._bound

    def put(self, message: str | bytes) -> None:
        """Let a message wait; `wake` tells who waits for it."""
        self._messages.append(message)
        self._bytes += len(message) + MESSAGE_OVERHEAD

    def take(self) -> str | bytes:
        """Give the first message."""
        message = self._messages.popleft()
        self._bytes -= len(message) + MESSAGE_OVERHEAD
        return message

    def clear(self) -> None:
        """Drop what waits."""
        self._messages.clear()
        self._bytes = 0

    def wait(self) -> asyncio.Future[None]:
        """Give a future that is done at the next `wake`."""
        return self._receivers.wait()

    def wake(self) -> None:
        """Wake all that wait."""
        self._receivers.wake()
