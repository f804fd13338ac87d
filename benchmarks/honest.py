"""Honest clients: a room in which they talk in turn, and how long it takes what they say to reach the others."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

from benchmarks.attackers import FIN, TEXT, Line, Target, frame

OPENINGS_PER_SECOND = 30
"""Of 100, so fast, the server lets in all, though they have one address."""
HEARD_WITHIN = 10.0
"""Seconds after which each of them is to have heard everything."""
BEGINNING = b'"at '
"""What stands before the time in a message of theirs."""


class Client(asyncio.Protocol):
    """An honest client.

    It looks for what they say without reading frames, and costs little by that: all of them have one core, and are
    not to wait for each other.

    Args:
        delays: where to note how long each message took, in seconds.
    """

    def __init__(self, delays: list[float]) -> None:
        self.is_closed = False
        self.heard = 0
        self._delays = delays
        self._kept = b""
        self._transport: asyncio.WriteTransport = None  # type: ignore[assignment]

    @classmethod
    async def join(cls, target: Target, delays: list[float]) -> Client:
        """Open a WebSocket.

        Raises:
            ConnectionError: the server refused it.
        """
        line = await Line.open(target)
        if line is None:
            raise ConnectionError(f"an honest client was refused: {dict(target.outcomes)}")
        sock, data = line.detach()
        _, client = await asyncio.get_running_loop().create_connection(lambda: cls(delays), sock=sock)
        client.data_received(data)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Note the end."""
        self.is_closed = True

    def data_received(self, data: bytes) -> None:
        """Look for times in what came."""
        data = self._kept + data
        now = time.monotonic()
        start = data.find(BEGINNING)
        while start >= 0 and (end := data.find(b'"', start + len(BEGINNING))) >= 0:
            self.heard += 1
            self._delays.append(now - float(data[start + len(BEGINNING) : end]))
            start = data.find(BEGINNING, end)
        self._kept = data[start if start >= 0 else 1 - len(BEGINNING) :]

    def say(self, text: str) -> None:
        """Send a message."""
        self._transport.write(frame(FIN | TEXT, json.dumps({"text": text}).encode()))

    def leave(self) -> None:
        """End the connection without a word."""
        self._transport.abort()


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
    _clients: list[Client] = field(default_factory=list)
    _said: int = 0

    async def open(self) -> None:
        """Have all of them join.

        Raises:
            ConnectionError: the server refused one.
        """
        for _ in range(self.members):
            self._clients.append(await Client.join(self.target, self.delays))
            await asyncio.sleep(1 / self.openings_per_second)

    async def talk(self, seconds: float, messages_per_second: float) -> None:
        """Let them talk in turn.

        Raises:
            ConnectionError: one of them is there no more, or has not heard all of it after `HEARD_WITHIN`.
        """
        end = time.monotonic() + seconds
        due = time.monotonic()
        speaker = 0
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += 1 / messages_per_second
            speaker = (speaker + 1) % len(self._clients)
            self._clients[speaker].say(f"at {time.monotonic():.6f}")
            self._said += 1
        await self._all_heard()

    async def _all_heard(self) -> None:
        """Wait until each of them has heard all that was said."""
        deadline = time.monotonic() + HEARD_WITHIN
        while sum(client.heard for client in self._clients) < self._said * len(self._clients):
            if time.monotonic() > deadline or any(client.is_closed for client in self._clients):
                heard = sorted(client.heard for client in self._clients)
                raise ConnectionError(f"of {self._said} messages, the honest clients heard {heard}")
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """Have all of them leave."""
        for client in self._clients:
            client.leave()


def percentile(delays: list[float], share: float) -> float:
    """Give the delay that so large a share of them does not exceed."""
    ordered = sorted(delays)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
