"""Metronome: wakes an event loop at fixed times, more exactly than its own timers do."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Metronome:
    """Calls back in the loop, again and again.

    Timers of event loops are up to a millisecond late; a thread sleeps to a tenth of that.

    Args:
        loop: where to call back.
        beat: what to call; not again before the last call was made.
        interval: how many nanoseconds lie between two calls.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, beat: Callable[[], None], interval: int) -> None:
        self._loop = loop
        self._beat = beat
        self._interval = interval
        self._is_called = False
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.perf_counter_ns()
        with suppress(RuntimeError):  # the loop was closed
            while not self._is_over.is_set():
                if not self._is_called:
                    self._is_called = True
                    self._loop.call_soon_threadsafe(self._call)
                due += self._interval
                now = time.perf_counter_ns()
                due = max(due, now - self._interval)  # beats that were missed are not made up for
                time.sleep(max(0, due - now) / 1e9)

    def _call(self) -> None:
        self._is_called = False
        self._beat()
