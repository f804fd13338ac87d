"""Guests that come over a socket, in the event loop of their server."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, cast

from tests.protocol.wire import CLOSE, TEXT
from tests.protocol.wire import frame as client_frame
from tests.rooms.guests import Guest, until
from tests.server.peer import Peer

if TYPE_CHECKING:
    from roomcast import Rooms
    from roomcast.testing import TestConnection


class SocketGuest(Guest):
    """A guest whose client is a socket that reads what comes, unless it is stalled.

    Args:
        address: where the server is. Its app hands each connection to the guest that its path names.
    """

    expected: ClassVar[dict[str, SocketGuest]] = {}
    """The guests by the paths that they come to."""

    def __init__(self, address: Any, rooms: Rooms, room: str, **settings: Any) -> None:
        super().__init__(rooms, room, **settings)
        self.client._app.cancel()
        self.expected[str(id(self))] = self
        # A client without a network and this one are the same to a test.
        self.client = cast("TestConnection", _Client(self, address))


class _Client:
    def __init__(self, guest: SocketGuest, address: Any) -> None:
        self._guest = guest
        self._address = address
        self._from_app: deque[dict[str, str]] = deque()
        self._peer: Peer
        self._loop = asyncio.get_running_loop()
        self._is_over = False

    async def open(self) -> None:
        self._peer = await Peer.ask(self._address, f"/{id(self._guest)}", receive_buffer=16_384)
        await self._peer.opened()
        del self._guest.expected[str(id(self._guest))]
        self._parse()
        self.resume()

    def stall(self) -> None:
        if not self._is_over:
            self._loop.remove_reader(self._peer.socket)

    def resume(self) -> None:
        if not self._is_over:
            self._loop.add_reader(self._peer.socket, self._read)

    async def disconnect(self) -> None:
        if not self._is_over:
            self._peer.socket.send(client_frame(CLOSE, b""))
        await until(self._guest.task.done)

    def _read(self) -> None:
        try:
            data = self._peer.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        self._peer._read += data
        self._parse()
        if not data:
            self._end()

    def _parse(self) -> None:
        while (frame := self._peer._parse()) is not None:
            if frame.opcode == TEXT:
                self._from_app.append({"type": "websocket.send", "text": frame.payload.decode()})
            elif frame.opcode == CLOSE:
                self._peer.socket.send(client_frame(CLOSE, frame.payload))

    def _end(self) -> None:
        self.stall()
        self._is_over = True
        self._peer.socket.close()
