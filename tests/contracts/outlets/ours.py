"""The outlet of our own server, which is in the test's event loop."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tests.contracts.outlets.sockets import RECEIVE_BUFFER, SocketWire
from tests.contracts.outlets.wire import BOUND, FILLER_BYTES, Wire
from tests.server.peer import opened
from tests.server.serving import Calls, serving

if TYPE_CHECKING:
    from tests.server.peer import Peer
    from tests.server.serving import Call, Serving


class OurWire(SocketWire):
    """A `Session`. Its transport keeps up to 64 KiB for a slow peer, and what it was given last."""

    keeps_on_close = 64 * 1024 + FILLER_BYTES + 200
    frame_bytes = 10
    keeps_up_to = 64 * 1024

    def __init__(self, server: Serving, peer: Peer, call: Call) -> None:
        super().__init__(peer)
        self._server = server
        self._cleanup = AsyncExitStack()
        self.call = call
        self.outlet = call.outlet

    @classmethod
    async def open(cls, _address: object = None) -> OurWire:
        async with AsyncExitStack() as cleanup:
            server = await cleanup.enter_async_context(
                serving(Calls(), settings={"outbound_bytes": BOUND}, send_buffer=16_384)
            )
            wire = cls(server, *await opened(server, receive_buffer=RECEIVE_BUFFER))
            wire._cleanup = cleanup.pop_all()
        return wire

    async def another(self) -> Wire:
        wire = OurWire(self._server, *await opened(self._server, receive_buffer=RECEIVE_BUFFER))
        self._cleanup.push_async_callback(wire.end)
        return wire

    async def end(self) -> None:
        await super().end()
        await self._cleanup.aclose()
