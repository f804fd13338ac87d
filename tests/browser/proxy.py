"""A TCP proxy before a server, which can lose its connections as a network does."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

CHUNK = 1 << 16
DEADLINE = 30.0
"""Seconds that a wait may take."""


class Proxy:
    """Leads connections to a server on this machine, until it is told otherwise.

    Args:
        port: the server's.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._change = threading.Condition()
        self._carries = self._carries_back = True
        self._is_cut = False
        self._frames: int | None = None
        self._broken = 0
        self._open: set[socket.socket] = set()

    def cut(self) -> None:
        """Lose all connections, and every new one at once."""
        with self._change:
            self._is_cut = True
            self._change.notify_all()
            for side in self._open:
                _shut(side)

    def cut_after_frames(self, count: int) -> None:
        """Lose every WebSocket that is opened from now on after so many frames of the server, until `mend`."""
        with self._change:
            self._frames, self._broken, self._is_cut = count, 0, False

    def wait_until_broken(self, times: int = 1) -> None:
        """Wait until so many WebSockets were lost after their frames."""
        with self._change:
            assert self._change.wait_for(lambda: self._broken >= times, DEADLINE), "no WebSocket got so far"

    def stall(self, *, only_back: bool = False) -> None:
        """Carry nothing any more (or only nothing of the server's), and tell nobody: a cable that was pulled."""
        with self._change:
            self._carries, self._carries_back = only_back, False

    def mend(self) -> None:
        """Lead new connections to the server again; what was stalled is lost."""
        with self._change:
            self._frames = None
            if not self._carries_back:
                for side in self._open:
                    _shut(side)
            self._carries = self._carries_back = True
            self._is_cut = False
            self._change.notify_all()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.cut()
        _shut(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._lead, args=(client,), daemon=True).start()

    def _lead(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self._is_cut:
                return
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                with self._change:
                    self._open |= {client, server}
                back = threading.Thread(target=self._carry_back, args=(server, client), daemon=True)
                back.start()
                self._carry(client, server)
                back.join()
                with self._change:
                    self._open -= {client, server}

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                with self._change:
                    self._change.wait_for(lambda: self._carries or self._is_cut)
                sink.sendall(data)
        _shut(sink)

    def _carry_back(self, server: socket.socket, client: socket.socket) -> None:
        frames = _Frames()
        with suppress(OSError):
            while data := server.recv(CHUNK):
                end = None if self._frames is None else frames.end_of(data, self._frames)
                with self._change:
                    self._change.wait_for(lambda: self._carries_back or self._is_cut)
                client.sendall(data[:end])
                if end is not None:
                    _shut(server)
                    _shut(client)
                    with self._change:
                        self._broken += 1
                        self._change.notify_all()
                    break
        _shut(client)


class _Frames:
    """Counts the frames that a server sends after its handshake."""

    def __init__(self) -> None:
        self._begun = False
        self._left = b""
        self._count = 0

    def end_of(self, data: bytes, count: int) -> int | None:
        """Give where in `data` the frame of this number ends, if it does."""
        before = len(self._left)
        self._left += data
        at = 0
        if not self._begun:
            head = self._left.find(b"\r\n\r\n")
            if head < 0 or not self._left.startswith(b"HTTP/1.1 101"):
                return None
            self._begun = True
            at = head + 4
        while (length := _length(self._left[at : at + 10])) is not None and at + length <= len(self._left):
            at += length
            self._count += 1
            if self._count == count:
                return at - before
        self._left = self._left[at:]
        return None


def _length(head: bytes) -> int | None:
    """Give the length of an unmasked frame, its head included; None where that has not all come."""
    if len(head) < 2:
        return None
    more = {126: 2, 127: 8}.get(head[1], 0)
    if len(head) < 2 + more:
        return None
    return 2 + more + (int.from_bytes(head[2 : 2 + more], "big") if more else head[1])


def _shut(side: socket.socket) -> None:
    with suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
