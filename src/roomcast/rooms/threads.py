"""Threads: calling into the rooms' event loop from another thread."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from roomcast.errors import RoomsClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Threads:
    """The way into an event loop, for as long as it is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Let calls in, to the running event loop."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Let no more calls in, and have those begun that have come."""
        with self._lock:
            self._loop = None
        await asyncio.sleep(0)  # what came before stands before this in the loop's queue

    def call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Have `function` called and its coroutine run in the loop. What it raises comes through the future.

        RoomsClosed comes through it where the way in is not open.
        """
        with self._lock:
            if self._loop is not None and not self._loop.is_closed():
                return asyncio.run_coroutine_threadsafe(_call(function), self._loop)
        refused: Future[T] = Future()
        refused.set_exception(RoomsClosed("the rooms are not open, in whatever thread they are to be"))
        return refused


async def _call(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return await function()
