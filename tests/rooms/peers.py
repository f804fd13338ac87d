"""Peers on raw sockets, which do what no proper WebSocket client does: not read, vanish, or stop half way."""

from __future__ import annotations

import socket
import struct
from typing import Self

from tests.rooms.guests import DEADLINE

TEXT, BINARY, CLOSE, PING = 0x1, 0x2, 0x8, 0x9


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame (RFC 6455, section 5.2), final and masked with zeros."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + bytes(4) + payload


class RawPeer:
    """A WebSocket client that reads only when it is told to.

    Args:
        port: the server's, on the loopback interface.
        path: path and query string.
        receive_buffer: how many bytes the kernel may take in unread; it has its own idea of the least.
    """

    def __init__(self, port: int, path: str, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(DEADLINE)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self._unread = b""
        while b"\r\n\r\n" not in self._unread:
            self._more()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def send(self, *messages: str | bytes) -> None:
        """Send messages, all of them in one piece."""
        frames = [
            frame(TEXT, data.encode()) if isinstance(data, str) else frame(BINARY, data) for data in messages
        ]
        self.socket.sendall(b"".join(frames))

    def send_raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> tuple[int, bytes]:
        """Wait for the next frame: its opcode and payload."""
        head = self._exactly(2)
        size = head[1] & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._exactly(8))
        return head[0] & 0x0F, self._exactly(size)

    def close_frame(self) -> tuple[int, str]:
        """Read up to the close frame: its code and reason."""
        while True:
            opcode, payload = self.receive()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame."""
        self.socket.sendall(frame(CLOSE, code.to_bytes(2, "big") + reason.encode()))

    def half_close(self) -> None:
        """Say that nothing more comes, while still able to read."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.socket.close()

    def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._more()
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError("the server closed the socket")
        self._unread += data
