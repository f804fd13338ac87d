"""A client made by hand: it sends what it likes, and reads when it likes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.protocol.wire import BINARY, CLOSE, TEXT, frame
from tests.server.serving import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.server.serving import Call, Serving

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def request(
    target: str | bytes = "/",
    headers: Iterable[tuple[str, str]] = (),
    *,
    method: str = "GET",
    version: str = "1.1",
    without: Iterable[str] = (),
) -> bytes:
    """Write a request for a WebSocket, `without` some of the headers that it should have."""
    standard = {
        "Host": "test",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY.decode(),
    }
    pairs = [pair for pair in standard.items() if pair[0] not in set(without)] + list(headers)
    path = target.encode() if isinstance(target, str) else target
    lines = [b"%b %b HTTP/%b" % (method.encode(), path, version.encode())]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in pairs]
    return b"\r\n".join(lines) + b"\r\n\r\n"


@dataclass(frozen=True)
class Response:
    """An HTTP response: its headers' names are as they came."""

    status: int
    headers: list[tuple[str, str]]

    def __getitem__(self, name: str) -> str:
        found = [value for known, value in self.headers if known.lower() == name.lower()]
        assert len(found) == 1, f"{name} is there {len(found)} times: {self.headers}"
        return found[0]

    def __contains__(self, name: str) -> bool:
        return any(known.lower() == name.lower() for known, _ in self.headers)


@dataclass(frozen=True)
class Frame:
    """A frame of the server's."""

    opcode: int
    payload: bytes
    final: bool = True
    compressed: bool = False


def close_frame(code: int, reason: str = "") -> Frame:
    return Frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


def text_frame(text: str) -> Frame:
    return Frame(TEXT, text.encode())


class Peer:
    """A socket, and what came over it."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._loop = asyncio.get_running_loop()
        self._read = b""

    @classmethod
    async def connect(cls, address: Any, *, receive_buffer: int | None = None) -> Self:
        """Connect, and ask for nothing yet."""
        sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        return cls(sock)

    @classmethod
    async def ask(cls, address: Any, *args: Any, receive_buffer: int | None = None, **more: Any) -> Self:
        """Connect and send a request."""
        peer = await cls.connect(address, receive_buffer=receive_buffer)
        await peer.write(request(*args, **more))
        return peer

    async def opened(self) -> Self:
        """Wait until the WebSocket is open."""
        response = await self.response()
        assert response.status == 101, response
        return self

    async def write(self, data: bytes) -> None:
        async with asyncio.timeout(TIMEOUT):
            await self._loop.sock_sendall(self.socket, data)

    async def send(self, message: str | bytes) -> None:
        await self.write(message_frame(message))

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame."""
        await self.write(frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason.encode()))

    async def response(self) -> Response:
        """Read the head of an HTTP response."""
        while b"\r\n\r\n" not in self._read:
            assert await self._more(), f"the server ended within a response: {self._read!r}"
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = []
        for line in lines:
            name, _, value = line.partition(": ")
            headers.append((name, value))
        assert status.startswith("HTTP/1.1 ")
        return Response(int(status.split(" ")[1]), headers)

    async def frame(self) -> Frame | None:
        """Read a frame; None where the server ends the connection instead."""
        while (found := self._parse()) is None:
            if not await self._more():
                assert self._read == b"", "the server ended within a frame"
                return None
        return found

    async def frames(self) -> list[Frame]:
        """Read everything until the server ends the connection."""
        found = []
        while (one := await self.frame()) is not None:
            found.append(one)
        return found

    async def rest(self) -> bytes:
        """Read everything until the server ends the connection, as bytes."""
        while await self._more():
            pass
        rest, self._read = self._read, b""
        return rest

    async def drain(self, at_least: int) -> bytes:
        """Read so many bytes and throw away nothing of them."""
        while len(self._read) < at_least:
            assert await self._more()
        found, self._read = self._read, b""
        return found

    async def exactly(self, size: int) -> bytes:
        """Read so many bytes, and leave what comes behind them."""
        while len(self._read) < size:
            assert await self._more()
        found, self._read = self._read[:size], self._read[size:]
        return found

    def shut(self) -> None:
        """Say that nothing more comes from this side."""
        self.socket.shutdown(socket.SHUT_WR)

    def vanish(self) -> None:
        """Close the socket without a word."""
        self.socket.close()

    def reset(self) -> None:
        """Close the socket with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.socket.close()

    async def _more(self) -> bool:
        async with asyncio.timeout(TIMEOUT):
            with contextlib.suppress(ConnectionResetError):
                data = await self._loop.sock_recv(self.socket, 256 * 1024)
                self._read += data
                return bool(data)
        return False

    def _parse(self) -> Frame | None:
        read = self._read
        if len(read) < 2:
            return None
        length, start = read[1], 2
        assert length < 128, "the server masked a frame"
        if length == 126:
            length, start = int.from_bytes(read[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(read[2:10], "big"), 10
        if len(read) < max(start + length, start):
            return None
        self._read = read[start + length :]
        return Frame(
            read[0] & 0x0F, read[start : start + length], read[0] & 0x80 != 0, compressed=read[0] & 0x40 != 0
        )


def message_frame(message: str | bytes) -> bytes:
    return frame(TEXT, message.encode()) if isinstance(message, str) else frame(BINARY, message)


async def opened(server: Serving, *args: Any, receive_buffer: int | None = None, **more: Any) -> tuple[Peer, Call]:
    """Open a WebSocket to an app that is `Calls`."""
    peer = await Peer.ask(server.address, *args, receive_buffer=receive_buffer, **more)
    call = await server.call()
    await call.accept()
    return await peer.opened(), call


async def turn() -> None:
    """Let the event loop read what lies in its sockets already, and the apps act on it."""
    for _ in range(20):
        await asyncio.sleep(0)
