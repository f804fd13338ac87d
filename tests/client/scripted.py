"""A server that says what a test has it say."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from roomcast.client import Address
from roomcast.protocol.handshake import accept_value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from ssl import SSLContext


@asynccontextmanager
async def scripted(
    answer: Callable[[bytes], bytes], *, tls: SSLContext | None = None, closes: bool = True
) -> AsyncIterator[Address]:
    """Listen, and answer each request with what `answer` makes of it, and then close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(request))
            await writer.drain()
            if not closes:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Address.parse(f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/path")


def opening(request: bytes, *more: bytes) -> bytes:
    """Write the response that opens a WebSocket, with more headers."""
    key = next(line for line in request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: "))[19:]
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept_value(key),
        *more,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"
