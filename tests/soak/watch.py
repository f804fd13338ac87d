"""Watch: how much memory and how many file descriptors some processes have, from a soak's start to its end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

INTERVAL = 1.0
"""Seconds between two looks."""
STILL = 1.0
"""For how many seconds nobody may open or close a file, until they are at rest."""
PATIENCE = 30.0
"""Seconds within which they must come to rest."""


class Usage(NamedTuple):
    """What a process has taken.

    Attributes:
        memory: bytes of its own, resident or swapped out. Pages of files, such as libraries, are not among them:
            how many of those there are depends on who else runs.
        descriptors: how many file descriptors are open.
    """

    memory: int
    descriptors: int


class Look(NamedTuple):
    """What was seen of a process.

    Attributes:
        seconds: when, since the watch began.
        pid: of which process: another one may take the place of one that was killed.
        usage: what it had.
    """

    seconds: float
    pid: int
    usage: Usage


class Mark(NamedTuple):
    """Something that happened.

    Attributes:
        seconds: when, since the watch began.
        what: what it was.
    """

    seconds: float
    what: str


def usage(pid: int) -> Usage:
    """Look at a process.

    Raises:
        OSError: there is none any more.
    """
    folder = Path(f"/proc/{pid}")
    sizes = (line.split() for line in (folder / "smaps_rollup").read_text().splitlines()[1:])
    memory = sum(int(size) << 10 for name, size, *_ in sizes if name in ("Anonymous:", "Swap:"))
    return Usage(memory, sum(1 for _ in (folder / "fd").iterdir()))


class Watch:
    """Looks at processes every second, and whenever they are at rest.

    Args:
        pids: gives who runs now: by their names, which stay the same, their process ids.

    Attributes:
        looks: of each, all that was seen.
        rests: of each, what was seen at rest.
        marks: what happened.
    """

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids
        self._start = time.monotonic()
        self.looks: dict[str, list[Look]] = {name: [] for name in pids()}
        self.rests: dict[str, list[Look]] = {name: [] for name in pids()}
        self.marks: list[Mark] = []

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._looking.cancel()
        await asyncio.wait([self._looking])

    @property
    def seconds(self) -> float:
        """For how many seconds it has watched."""
        return time.monotonic() - self._start

    def mark(self, what: str) -> None:
        """Note what happens now."""
        self.marks.append(Mark(self.seconds, what))

    async def rest(self) -> None:
        """Wait until nobody opens or closes anything any more, and look.

        Raises:
            AssertionError: they do not come to rest.
        """
        deadline = time.monotonic() + PATIENCE
        seen, since = self._seen(), time.monotonic()
        while time.monotonic() - since < STILL:
            assert time.monotonic() < deadline, f"not at rest within {PATIENCE:g} s: {seen}"
            # What is waited for is that nothing happens in other processes.
            await asyncio.sleep(STILL / 10)
            now = self._seen()
            if _open_in(now) != _open_in(seen):
                since = time.monotonic()
            seen = now
        for name, look in seen.items():
            self.looks[name].append(look)
            self.rests[name].append(look)

    async def _look(self) -> None:
        while True:
            for name, look in self._seen().items():
                self.looks[name].append(look)
            await asyncio.sleep(INTERVAL)

    def _seen(self) -> dict[str, Look]:
        seen = {}
        for name, pid in self._pids().items():
            try:
                seen[name] = Look(self.seconds, pid, usage(pid))
            except OSError:
                continue  # it was killed, and its place is empty
        return seen


def _open_in(seen: Mapping[str, Look]) -> dict[str, int]:
    return {name: look.usage.descriptors for name, look in seen.items()}
