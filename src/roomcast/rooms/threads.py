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
        self._calls: set[asyncio.Task[Any]] = set()

    def open(self) -> None:
        """Let calls in, to the running event loop."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Let no more calls in, and wait for those that have come."""
        with self._lock:
            self._loop = None
        for _ in ("their tasks are made", "their tasks have begun"):  # they stand before this in the loop's queue
            await asyncio.sleep(0)
        while self._calls:
            await asyncio.wait(self._calls)

    def call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Have `function` called and its coroutine run in the loop. What it raises comes through the future.

        RoomsClosed comes through it where the way in is not open.
        """
        with self._lock:
            if self._loop is not None and not self._loop.is_closed():
                return asyncio.run_coroutine_threadsafe(self._call(function), self._loop)
        refused: Future[T] = Future()
        refused.set_exception(RoomsClosed("the rooms are not open, in whatever thread they are to be"))
        return refused

    async def _call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        task = asyncio.current_task()
        if task is not None:
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        return await function()
