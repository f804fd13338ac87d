"""Counts what a server of ours writes, and when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.server.serving import protocol_with

if TYPE_CHECKING:
    from roomcast.server.uvicorn import WebSocketProtocol


class Writes:
    """Counts what is written in each turn of the event loop."""

    def __init__(self) -> None:
        self.by_turn = [0]
        self._loop = asyncio.get_running_loop()
        self._turn: asyncio.Handle | None = None

    @property
    def total(self) -> int:
        return sum(self.by_turn)

    def start(self) -> None:
        self.by_turn = [0]
        self._turn = self._loop.call_soon(self._next)

    def stop(self) -> list[int]:
        """Give how much was written in each turn since the start."""
        assert self._turn is not None
        self._turn.cancel()
        return list(self.by_turn)

    def add(self) -> None:
        self.by_turn[-1] += 1

    def _next(self) -> None:
        self.by_turn.append(0)
        self._turn = self._loop.call_soon(self._next)


class CountingTransport:
    """A transport whose writes are counted."""

    def __init__(self, transport: Any, writes: Writes) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.add()
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def counting(writes: Writes, **settings: Any) -> type[WebSocketProtocol]:
    """Make our protocol's class, with counted writes."""

    class Counting(protocol_with(**settings)):  # type: ignore[misc]
        __slots__ = ()

        def connection_made(self, transport: Any) -> None:
            super().connection_made(CountingTransport(transport, writes))

    return Counting
