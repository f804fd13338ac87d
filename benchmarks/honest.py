"""Honest clients: a room in which they talk in turn, and how long it takes what they say to reach the others."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

from benchmarks.attackers import CLOSE, FIN, TEXT, Line, Target, frame

OPENINGS_PER_SECOND = 30
"""Of 100, so fast, the server lets in all, though they have one address."""


@dataclass
class Room:
    """Honest clients in one room.

    Attributes:
        target: where they are.
        members: how many they are.
        openings_per_second: how fast they come.
        delays: how long, in seconds, each message took to each of them, since the last `clear`.
    """

    target: Target
    members: int
    openings_per_second: float = OPENINGS_PER_SECOND
    delays: list[float] = field(default_factory=list)
    _clients: list[Line] = field(default_factory=list)
    _readers: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self) -> None:
        """Have all of them join."""
        for _ in range(self.members):
            line = await Line.open(self.target)
            if line is None:
                raise ConnectionError(f"an honest client was refused: {dict(self.target.outcomes)}")
            self._clients.append(line)
            self._readers.append(asyncio.ensure_future(self._hear(line)))
            await asyncio.sleep(1 / self.openings_per_second)

    async def talk(self, seconds: float, messages_per_second: float) -> None:
        """Let them talk in turn.

        Raises:
            ConnectionError: one of them is there no more.
        """
        end = time.monotonic() + seconds
        due = time.monotonic()
        speaker = 0
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += 1 / messages_per_second
            speaker = (speaker + 1) % len(self._clients)
            text = json.dumps({"text": f"at {time.monotonic():.6f}"}).encode()
            await self._clients[speaker].write(frame(FIN | TEXT, text))
        await asyncio.sleep(0.2)
        for reader in self._readers:
            if reader.done():
                reader.result()
                raise ConnectionError("an honest client was disconnected")

    def close(self) -> None:
        """Have all of them leave."""
        for reader in self._readers:
            reader.cancel()
        for line in self._clients:
            line.close()

    async def _hear(self, line: Line) -> None:
        while (found := await line.frame()) is not None:
            first, payload = found
            if first & 0x0F == CLOSE:
                raise ConnectionError(f"an honest client was closed: {payload!r}")
            start = payload.find(b'"at ')
            if start >= 0:
                sent = float(payload[start + 4 : payload.index(b'"', start + 1)])
                self.delays.append(time.monotonic() - sent)


def percentile(delays: list[float], share: float) -> float:
    """Give the delay that so large a share of them does not exceed."""
    ordered = sorted(delays)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
