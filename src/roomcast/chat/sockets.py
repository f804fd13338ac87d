"""The chat's WebSockets: one handler each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.chat import wire
from roomcast.close_codes import CloseCode
from roomcast.errors import Disconnected

if TYPE_CHECKING:
    from roomcast.rooms import Member, Rooms
    from roomcast.websocket import WebSocket

DEFAULT_ROOM = "general"
MAX_ROOM_NAME = 128
"""The longest room name of the chat, in characters."""
MAX_NAME = 64
"""The longest name to chat under, in characters."""


async def chat(ws: WebSocket, rooms: Rooms) -> None:
    """Be in the room `?room=`, under the name `&name=`, and say there what the client says."""
    room, name = ws.query.get("room", DEFAULT_ROOM), ws.query.get("name")
    if not 1 <= len(room) <= MAX_ROOM_NAME:
        await _refuse(ws, CloseCode.BAD_REQUEST, f"a room has 1 to {MAX_ROOM_NAME} characters", status=400)
        return
    if name is not None and not 1 <= len(name) <= MAX_NAME:
        await _refuse(ws, CloseCode.BAD_REQUEST, f"a name has 1 to {MAX_NAME} characters", status=400)
        return
    knows_members = wire.SUBPROTOCOL in ws.subprotocols
    encoder = wire.for_the_page if knows_members else wire.for_plain_clients
    async with rooms.join(
        room,
        ws,
        info={"name": name},
        encoder=encoder,
        subprotocol=wire.SUBPROTOCOL if knows_members else None,
    ) as member:
        if knows_members:
            member.send(await _welcome(member, rooms))
        async for frame in member:
            if isinstance(frame, bytes):
                member.send(wire.error("the chat takes text; a binary message is nothing it can show"))
            elif knows_members and wire.asks_for_rooms(frame):
                member.send(wire.room_list(await rooms.active()))
            else:
                await _say(frame, member, rooms)


async def echo(ws: WebSocket) -> None:
    """Send text back as `Echo: ` and the text, and bytes as they are."""
    await ws.accept()
    async for message in ws:
        await ws.send(f"Echo: {message}" if isinstance(message, str) else message)


async def binary(ws: WebSocket) -> None:
    """Send bytes back as they are, and text as the bytes of its UTF-8."""
    await ws.accept()
    async for message in ws:
        await ws.send(message.encode() if isinstance(message, str) else message)


async def not_found(ws: WebSocket) -> None:
    """Turn away whoever comes to a path where no WebSocket is."""
    await _refuse(ws, CloseCode.NOT_FOUND, "there is no WebSocket at this path", status=404)


async def _say(frame: str, member: Member, rooms: Rooms) -> None:
    said = wire.read(frame)
    if said.text:
        text = wire.message(member.room, said, member.info["name"])
        await rooms.publish(member.room, text, key=said.key)


async def _welcome(member: Member, rooms: Rooms) -> str:
    return wire.welcome(
        member.room,
        member.id,
        await rooms.members(member.room),
        await rooms.active(),
        await rooms.position(member.room),
    )


async def _refuse(ws: WebSocket, code: CloseCode, reason: str, *, status: int) -> None:
    """Turn a connection away in the way that its client can see: a browser always names an origin."""
    try:
        await ws.reject(code, reason, status=status, after_accept="origin" in ws.headers)
    except Disconnected:
        return  # it has gone by itself
