"""Attackers: each tries, from one address, to spoil a chat for the others. Only what Python itself has.

An attacker goes on until it is cancelled, and counts what became of its attempts: HTTP statuses, close codes, and
`cut` where a connection ended without either.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

TEXT, BINARY, CLOSE, PING, CONTINUATION = 0x1, 0x2, 0x8, 0x9, 0x0
FIN = 0x80
RSV1 = 0x40
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
PAUSE = 0.005
"""Seconds between two attempts of one attacker: it is the server that is to be kept busy."""


@dataclass
class Target:
    """What is attacked, and what came of it.

    Attributes:
        port: where it listens, on the loopback.
        path: the path and query of the room that is attacked.
        source: the attacker's own address.
        outcomes: how often what happened.
        lines: the connections that are open.
    """

    port: int
    path: str = "/ws/chat?room=general&name=Mallory"
    source: str = "127.0.0.2"
    outcomes: Counter[str] = field(default_factory=Counter)
    lines: set[Line] = field(default_factory=set)


Attack: TypeAlias = Callable[[Target], Awaitable[None]]


def frame(first: int, payload: bytes = b"", announced: int | None = None) -> bytes:
    """Write a client's frame, whose masking key is zero, with a length that may lie."""
    size = len(payload) if announced is None else announced
    if size < 126:
        head = bytes((first, FIN | size))
    elif size < 1 << 16:
        head = bytes((first, FIN | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, FIN | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


class Line:
    """One connection of an attacker's."""

    def __init__(self, target: Target, sock: socket.socket) -> None:
        self._target = target
        target.lines.add(self)
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._read = b""
        self._at = 0

    @classmethod
    async def connect(cls, target: Target, receive_buffer: int | None = None) -> Line:
        """Connect, and say nothing."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.bind((target.source, 0))
        line = cls(target, sock)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", target.port))
        return line

    @classmethod
    async def open(cls, target: Target, headers: str = "", receive_buffer: int | None = None) -> Line | None:
        """Open a WebSocket; None where it was refused, which is counted."""
        line = await cls.connect(target, receive_buffer)
        await line.write(request(target, headers))
        status = await line.status()
        if status == "101":
            return line
        target.outcomes[status] += 1
        line.close()
        return None

    async def write(self, data: bytes) -> None:
        """Write, as fast as the server reads."""
        await self._loop.sock_sendall(self._socket, data)

    async def status(self) -> str:
        """Read the head of a response, and give its status; "cut" where there is none."""
        while b"\r\n\r\n" not in self._read:
            if not await self._more():
                return "cut"
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        return head[9:12].decode()

    async def ended(self) -> None:
        """Read, and count how the server ended the connection."""
        outcome = "cut"
        while (found := await self.frame()) is not None:
            if found[0] & 0x0F == CLOSE:
                outcome = str(int.from_bytes(found[1][:2], "big"))
                break
        self._target.outcomes[outcome] += 1
        self.close()

    async def flood(self, data: bytes) -> None:
        """Write the same again and again, until the server has ended the connection."""

        async def write() -> None:
            with contextlib.suppress(OSError):
                while True:
                    await self.write(data)
                    await asyncio.sleep(PAUSE)

        writing = asyncio.ensure_future(write())
        try:
            await self.ended()
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            self.close()

    def detach(self) -> tuple[socket.socket, bytes]:
        """Give its socket away, and what has come and was not read."""
        self._target.lines.discard(self)
        return self._socket, self._read[self._at :]

    async def frame(self) -> tuple[int, bytes] | None:
        """Read a frame: its first byte and its payload; None where the connection has ended."""
        while (found := self._parse()) is None:
            if not await self._more():
                return None
        return found

    def close(self) -> None:
        """End the connection without a word."""
        self._target.lines.discard(self)
        self._socket.close()

    async def _more(self) -> bool:
        try:
            data = await self._loop.sock_recv(self._socket, 1 << 16)
        except OSError:
            return False
        self._read = self._read[self._at :] + data
        self._at = 0
        return bool(data)

    def _parse(self) -> tuple[int, bytes] | None:
        read, at = self._read, self._at
        if len(read) - at < 2:
            return None
        size, start = read[at + 1], at + 2
        if size == 126:
            size, start = int.from_bytes(read[start : start + 2], "big"), start + 2
        elif size == 127:
            size, start = int.from_bytes(read[start : start + 8], "big"), start + 8
        if len(read) < start + size:
            return None
        self._at = start + size
        return read[at], read[start : start + size]


def request(target: Target, headers: str = "") -> bytes:
    """Write a request for a WebSocket."""
    return (
        f"GET {target.path} HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"{headers}\r\n"
    ).encode()


def _flood_of(data: bytes, headers: str = "", beginning: bytes = b"") -> Attack:
    async def attack(target: Target) -> None:
        while True:
            line = await Line.open(target, headers)
            if line is None:
                await asyncio.sleep(PAUSE)
            else:
                await line.write(beginning)
                await line.flood(data)

    return attack


async def silent_sockets(target: Target) -> None:
    """Hold sockets on which nothing is said."""
    held = []
    while True:
        held.append(await Line.connect(target))
        await asyncio.sleep(PAUSE / 5)
        if len(held) > 900:
            held.pop(0).close()


async def dribbling_requests(target: Target) -> None:
    """Hold sockets on which a request comes byte by byte."""
    held: list[Line] = []
    whole = request(target)
    while True:
        for number, line in enumerate(held):
            with contextlib.suppress(OSError):
                await line.write(whole[number % 40 : number % 40 + 1])
        if len(held) < 400:
            held += [await Line.connect(target) for _ in range(20)]
        await asyncio.sleep(PAUSE * 4)


async def handshakes(target: Target) -> None:
    """Open WebSockets as fast as can be, and hold them."""
    held = []
    while True:
        line = await Line.open(target)
        if line is not None:
            target.outcomes["101"] += 1
            held.append(line)
        await asyncio.sleep(PAUSE / 5)


async def joins_and_leaves(target: Target) -> None:
    """Come and go, so that all others hear of nothing else."""
    while True:
        line = await Line.open(target)
        if line is not None:
            target.outcomes["101"] += 1
            line.close()
        await asyncio.sleep(PAUSE / 5)


async def unread(target: Target) -> None:
    """Be members that read nothing."""
    held: list[Line] = []
    while True:
        if len(held) < 50:
            line = await Line.open(target, receive_buffer=4096)
            held += [line] if line is not None else []
        await asyncio.sleep(PAUSE * 4)


async def unread_pongs(target: Target) -> None:
    """Ping, and read no pong."""
    while True:
        line = await Line.open(target, receive_buffer=4096)
        if line is not None:
            with contextlib.suppress(OSError):
                while True:
                    await line.write(frame(FIN | PING, bytes(125)) * 10)
                    await asyncio.sleep(PAUSE * 20)
            target.outcomes["cut"] += 1
            line.close()
        await asyncio.sleep(PAUSE)


async def endless_frames(target: Target) -> None:
    """Begin frames, and never end them."""
    held: list[Line] = []
    while True:
        for line in held:
            with contextlib.suppress(OSError):
                await line.write(b"x")
        if len(held) < 100 and (line_or_none := await Line.open(target)) is not None:
            held.append(line_or_none)
            await line_or_none.write(frame(FIN | TEXT, b"x" * 1000, announced=1_000_000))
        await asyncio.sleep(PAUSE * 4)


async def long_heads(target: Target) -> None:
    """Ask with headers, and with URLs, that do not end."""
    while True:
        for head in (f"GET {target.path} HTTP/1.1\r\nX: ", "GET /"):
            line = await Line.connect(target)
            with contextlib.suppress(OSError):
                await line.write(head.encode())
                for _ in range(40):
                    await line.write(b"x" * 10_000)
                    await asyncio.sleep(0)
            target.outcomes[await line.status()] += 1
            line.close()
            await asyncio.sleep(PAUSE)


def _bomb() -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(bytes(64 << 20)) + deflate.flush(zlib.Z_SYNC_FLUSH)[:-4]


ATTACKS: dict[str, Attack] = {
    "silent-sockets": silent_sockets,
    "dribbling-requests": dribbling_requests,
    "long-heads": long_heads,
    "handshakes": handshakes,
    "joins-and-leaves": joins_and_leaves,
    "messages": _flood_of(frame(FIN | TEXT, b'{"text":"spam"}') * 200),
    "large-messages": _flood_of(frame(FIN | TEXT, b"x" * 3000) * 100),
    "huge-messages": _flood_of(frame(FIN | BINARY, b"x" * 60_000, announced=1 << 40)),
    "empty-messages": _flood_of(frame(FIN | TEXT) * 5000),
    "pings": _flood_of(frame(FIN | PING, b"x") * 1000),
    "unread-pongs": unread_pongs,
    "empty-fragments": _flood_of(frame(CONTINUATION) * 5000, beginning=frame(TEXT)),
    "tiny-fragments": _flood_of(frame(CONTINUATION, b"x") * 5000, beginning=frame(TEXT)),
    "small-fragments": _flood_of(frame(CONTINUATION, b"x" * 32) * 1000, beginning=frame(TEXT)),
    "endless-frames": endless_frames,
    "bombs": _flood_of(frame(FIN | RSV1 | BINARY, _bomb()), DEFLATE),
    "small-bombs": _flood_of(
        frame(FIN | RSV1 | BINARY, zlib.compress(bytes(1000_000), 9, -15) + b"\0") * 50, DEFLATE
    ),
    "unread": unread,
    "broken-frames": _flood_of(b"\xff" * 1000),
}
"""What attackers do, by name."""


async def attacked(target: Target, attack: Attack, attackers: int, seconds: float) -> None:
    """Attack for some time."""

    async def persist() -> None:
        while True:
            with contextlib.suppress(OSError):
                await attack(target)

    tasks = [asyncio.ensure_future(persist()) for _ in range(attackers)]
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for line in tuple(target.lines):
        line.close()
