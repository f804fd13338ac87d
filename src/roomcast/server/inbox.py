"""Inbox: the messages that have come and wait for the app, bounded in bytes: at the bound, reading pauses."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from roomcast.server.waiters import Waiters

if TYPE_CHECKING:
    import asyncio

MESSAGE_OVERHEAD = 64
"""What a waiting message counts beside its length, so that a flood of empty ones is bounded, too."""


class Inbox(Waiters):
    """What has come and waits for the app, in order, and who waits for it.

    Mostly one message waits at the most, so only more than one need a queue.

    Args:
        loop: the event loop.
        bound: how many bytes may wait before it is full.
    """

    __slots__ = ("_bound", "_bytes", "_first", "_rest")

    def __init__(self, loop: asyncio.AbstractEventLoop, bound: int) -> None:
        super().__init__(loop)
        self._bound = bound
        self._bytes = 0
        self._first: str | bytes | None = None
        self._rest: deque[str | bytes] | None = None

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._first is None

    def is_full(self) -> bool:
        """Whether so much waits that no more should be read."""
        return self._bytes >= self._bound

    def has_room(self) -> bool:
        """Whether so little waits that more should be read, where reading has paused."""
        return self._bytes * 2 <= self._bound

    def put(self, message: str | bytes) -> None:
        """Let a message wait; `wake` tells who waits for it."""
        if self._first is None:
            self._first = message
        elif self._rest is None:
            self._rest = deque((message,))
        else:
            self._rest.append(message)
        self._bytes += len(message) + MESSAGE_OVERHEAD

    def take(self) -> str | bytes:
        """Give the first message; there must be one."""
        message: str | bytes = self._first  # type: ignore[assignment]
        self._bytes -= len(message) + MESSAGE_OVERHEAD
        self._first = None
        if self._rest is not None:
            self._first = self._rest.popleft()
            if not self._rest:
                self._rest = None
        return message

    def clear(self) -> None:
        """Drop what waits."""
        self._first = self._rest = None
        self._bytes = 0
