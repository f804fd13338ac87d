"""A link between a node and its broker, which fails as a network does, and counts what it carries."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

CHUNK = 1 << 16


class Link:
    """A TCP proxy in the event loop of the test.

    Args:
        port: the server's; another one may take its place, see `lead_to`.
        mark: what is counted in what comes from the server.

    Attributes:
        port: where the link itself listens, on the loopback.
        received: how many bytes came from the server.
        marked: how often `mark` was in them.
    """

    def __init__(self, port: int, *, mark: bytes = b"") -> None:
        self._server_port = port
        self._mark = mark
        self._open: set[asyncio.StreamWriter] = set()
        self._carries = asyncio.Event()
        self._carries.set()
        self._is_cut = False
        self.received = 0
        self.marked = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        self.port: int = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.cut()
        self._carries.set()
        self._listener.close()
        await self._listener.wait_closed()

    def lead_to(self, port: int) -> None:
        """Lead to another server from now on, and lose all connections: an address that moves."""
        self._server_port = port
        self._lose()

    def cut(self) -> None:
        """Lose all connections, and every new one at once, until `mend`."""
        self._is_cut = True
        self._lose()

    def stall(self) -> None:
        """Carry nothing, and tell nobody, until `mend`: a cable that was pulled."""
        self._carries.clear()

    def mend(self) -> None:
        """Lead new connections to the server again, and carry on what was stalled."""
        self._is_cut = False
        self._carries.set()

    def _lose(self) -> None:
        for side in self._open:
            side.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self._is_cut:
                return
            await self._carries.wait()
            with suppress(OSError):
                server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
                self._open.add(server_writer)
                try:
                    await asyncio.gather(
                        self._carry(reader, server_writer), self._carry(server_reader, writer, counted=True)
                    )
                finally:
                    self._open.discard(server_writer)
                    server_writer.transport.abort()
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counted: bool = False
    ) -> None:
        tail = b""
        try:
            while data := await source.read(CHUNK):
                await self._carries.wait()
                sink.write(data)
                await sink.drain()
                if counted:
                    self.received += len(data)
                    if self._mark:
                        seen = tail + data
                        self.marked += seen.count(self._mark)
                        tail = seen[len(seen) - len(self._mark) + 1 :] if len(self._mark) > 1 else b""
        finally:
            # Either side's end is the end of both: neither server nor node closes in one direction only.
            sink.transport.abort()
