"""Clients that may stop reading: on any server's plain `send`, and on our own server over a socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.contracts.outlets.asgi import AsgiWire
from tests.contracts.outlets.ours import OurWire
from tests.contracts.outlets.wire import Wire

if TYPE_CHECKING:
    from starlette.types import Message

    from roomcast import Member, Rooms


class Reader(Wire):
    """A client that is a member of rooms. Its outlet is the one that the rooms have of it."""

    connection: Any
    """What the rooms take: scope, receive and send."""

    async def join(self, rooms: Rooms, room: str = "r", **settings: Any) -> Member:
        member = await rooms.enter(room, self.connection, **settings)
        self.outlet = member.connection.outlet
        return member


class PlainReader(Reader, AsgiWire):
    """Without a network."""

    def __init__(self) -> None:
        super().__init__()
        events: asyncio.Queue[Message] = asyncio.Queue()
        events.put_nowait({"type": "websocket.connect"})
        self.connection = ({"type": "websocket", "extensions": {}}, events.get, self._send)

    async def _send(self, event: Message) -> None:
        if event["type"] != "websocket.accept":
            await super()._send(event)


class OurReader(Reader, OurWire):
    """A socket."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connection = (self.call.scope, self.call.raw_receive, self.call.raw_send)
