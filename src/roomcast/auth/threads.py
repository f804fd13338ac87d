"""Threads: calling functions that wait, a few at a time, so that the event loop does not."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Threads:
    """Calls functions in threads of their own.

    A call that is given up goes on in its thread and counts until it ends, so however many hang, there are never
    more than a few. They are daemons: what hangs does not keep the process from its end.

    Args:
        most: how many there may be at a time; more calls wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free = asyncio.Semaphore(most)

    async def call(self, function: Callable[..., T], *args: object) -> T:
        """Call a function, and give what it returns, or raise what it raises."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._free = loop, asyncio.Semaphore(self._most)
        free = self._free
        await free.acquire()
        outcome: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def settle(result: T | None, error: Exception | None) -> None:
            free.release()
            if outcome.cancelled():
                return
            if error is None:
                outcome.set_result(result)  # type: ignore[arg-type]
            else:
                outcome.set_exception(error)

        def run() -> None:
            result: T | None = None
            error: Exception | None = None
            try:
                result = context.run(function, *args)
            except Exception as raised:  # noqa: BLE001 - it is raised where it is waited for
                error = raised
            except BaseException as raised:  # noqa: BLE001 - it would end the loop, or look like its cancellation
                error = RuntimeError(f"{type(raised).__name__} in a thread")
            with suppress(RuntimeError):  # the loop has closed: nobody waits
                loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=run, daemon=True, name="roomcast-auth").start()
        return await outcome
