"""A WebSocket client on asyncio: what the commands of the terminal talk with.

client = await connect(Address.parse("ws://localhost:8000/ws/echo"), heard=print)
client.send("hello")
await client.close()
"""

from __future__ import annotations

from roomcast.client.address import Address
from roomcast.client.connection import Client, connect
from roomcast.client.tls import tls_context

__all__ = ["Address", "Client", "connect", "tls_context"]
