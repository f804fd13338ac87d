"""Wires of real servers: the peer is a socket, which the test's event loop reads, or leaves alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, ClassVar

from tests.contracts.outlets.wire import Wire
from tests.protocol.wire import CLOSE, TEXT
from tests.rooms.guests import DEADLINE

if TYPE_CHECKING:
    from tests.server.peer import Frame, Peer

RECEIVE_BUFFER = 64 * 1024
QUIET = 0.1
"""How many seconds nothing may be taken for it to be clear that nothing will be: where something can, it takes
some milliseconds, on a loaded machine too."""


class SocketWire(Wire):
    """A wire whose peer is a socket.

    Args:
        peer: the peer, with an open WebSocket.

    Attributes:
        keeps_up_to: how many bytes the outlet may count as waiting while the peer keeps up.
    """

    keeps_up_to: ClassVar[int] = 0

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._is_over = False
        self._loop = asyncio.get_running_loop()
        self.resume()

    async def next(self) -> str | bytes | tuple[int, str]:
        frame = await asyncio.wait_for(self._frames.get(), DEADLINE)
        assert frame is not None, "the server ended the connection"
        assert frame.final
        if frame.opcode == CLOSE:
            return int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()
        return frame.payload.decode() if frame.opcode == TEXT else frame.payload

    async def ended(self) -> None:
        """Wait until the server has ended the connection."""
        while await asyncio.wait_for(self._frames.get(), DEADLINE) is not None:
            pass

    async def is_taken(self) -> bool:
        while (queued := self.outlet.queued_bytes) > self.keeps_up_to:
            if not await self._changes(queued):
                return False
        return True

    async def _changes(self, queued: int) -> bool:
        deadline = time.monotonic() + QUIET
        turns = 0
        while time.monotonic() < deadline or turns < 50:
            if self.outlet.queued_bytes != queued:
                return True
            await asyncio.sleep(0)
            turns += 1
        return False

    def stop_reading(self) -> None:
        if not self._is_over:
            self._loop.remove_reader(self._peer.socket)

    def resume(self) -> None:
        if not self._is_over:
            self._loop.add_reader(self._peer.socket, self._read)

    async def lose(self) -> None:
        self.stop_reading()
        self._is_over = True
        self._peer.reset()

    async def end(self) -> None:
        if not self._is_over:
            await self.lose()

    def _read(self) -> None:
        data = b""
        with contextlib.suppress(ConnectionError):
            data = self._peer.socket.recv(1 << 20)
        self._peer._read += data
        while (frame := self._peer._parse()) is not None:
            self._frames.put_nowait(frame)
        if not data:
            self.stop_reading()
            self._is_over = True
            self._peer.socket.close()
            self._frames.put_nowait(None)
