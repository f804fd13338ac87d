"""Target: what a command connects to, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomcast.client import connect

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from roomcast.client import Address, Client
    from roomcast.protocol.events import Event
    from roomcast.protocol.negotiation import DeflateOptions


@dataclass(frozen=True)
class Target:
    """A server, and what it is told by each connection.

    Attributes:
        address: where it is.
        headers: further headers of the handshake.
        subprotocols: what is offered.
        tls: how TLS is spoken, None where it is not.
        room: the room of the chat that is joined, None for a WebSocket of any other kind.
    """

    address: Address
    headers: tuple[tuple[bytes, bytes], ...] = ()
    subprotocols: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    room: str | None = None

    async def open(self, heard: Callable[[Event], None], *, deflate: DeflateOptions | None = None) -> Client:
        """Open one connection: see `roomcast.client.connect`."""
        return await connect(
            self.address,
            heard=heard,
            headers=self.headers,
            subprotocols=self.subprotocols,
            deflate=deflate,
            tls=self.tls,
        )
