"""Lag: how late an event loop comes to what is due, which is how long everybody on it waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from weakref import WeakSet

from roomcast.tally import tally

if TYPE_CHECKING:
    import asyncio

INTERVAL = 0.25
"""How many seconds lie between two looks."""

_measured: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def measure(loop: asyncio.AbstractEventLoop) -> None:
    """Measure a loop's lag from now on, as long as it runs."""
    if loop not in _measured:
        _measured.add(loop)
        _look_later(loop)


def _look_later(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_later(INTERVAL, _look, loop, time.monotonic() + INTERVAL)


def _look(loop: asyncio.AbstractEventLoop, due: float) -> None:
    tally.lag.observe(time.monotonic() - due)
    _look_later(loop)
