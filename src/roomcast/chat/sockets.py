"""The chat's WebSockets: one handler each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.chat import wire
from roomcast.close_codes import CloseCode
from roomcast.counts import Reason, counts
from roomcast.errors import BrokerUnavailable, Disconnected, NotKept
from roomcast.rooms import Position
from roomcast.rooms.names import check_room_name, check_user_name

if TYPE_CHECKING:
    from roomcast.rooms import Member, Rooms
    from roomcast.websocket import WebSocket

DEFAULT_ROOM = "general"
MAX_ROOM_NAME = 128
"""The longest room name of the chat, in characters."""
MAX_NAME = 64
"""The longest name to chat under, in characters."""
MAX_TEXT = 4000
"""The longest message of the chat, in characters: the page's composer.js knows it too."""


NOT_KEPT = "The server could not keep your message: whoever is here has got it, but nobody will find it later."
NOT_SENT = "The server could not send your message: try again later."


async def chat(ws: WebSocket, rooms: Rooms) -> None:
    """Be in the room `?room=`, under the name `&name=`, and say there what the client says.

    A client of the page's subprotocol that comes back names the position up to which it knows the room with
    `&since=`, and gets what it missed.
    """
    try:
        room, name, since = _asked_for(ws)
    except ValueError as problem:
        await _refuse(ws, CloseCode.BAD_REQUEST, str(problem), status=400)
        return
    knows_members = wire.SUBPROTOCOL in ws.subprotocols

    async def welcome(member: Member) -> str:
        here, active = await rooms.members(room), await rooms.active()
        return wire.welcome(member, here, active, await rooms.position(room))

    async with rooms.join(
        room,
        ws,
        info={"name": name},
        encoder=wire.for_the_page if knows_members else wire.for_plain_clients,
        subprotocol=wire.SUBPROTOCOL if knows_members else None,
        since=since,
        greet=welcome if knows_members else None,
    ) as member:
        async for frame in member:
            if isinstance(frame, bytes):
                member.send(wire.error("the chat takes text; a binary message is nothing it can show"))
            elif knows_members and wire.asks_for_rooms(frame):
                member.send(wire.room_list(await rooms.active()))
            else:
                said = wire.read(frame, with_key=knows_members)
                if len(said.text) > MAX_TEXT:
                    counts[Reason.MESSAGE_LENGTH] += 1
                    member.send(wire.error(f"a message has at most {MAX_TEXT:,} characters", said.key))
                elif said.text:
                    await _say(said, member, rooms)


async def _say(said: wire.Said, member: Member, rooms: Rooms) -> None:
    """Publish what a member says; where that fails, the member is told, and goes on."""
    try:
        await rooms.publish(member.room, wire.message(said, member), key=said.key)
    except NotKept:
        member.send(wire.error(NOT_KEPT, said.key))
    except BrokerUnavailable:
        member.send(wire.error(NOT_SENT, said.key))


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
    await _refuse(
        ws, CloseCode.NOT_FOUND, "no WebSocket here: the chat has /ws/chat, /ws/echo and /ws/binary", status=404
    )


def _asked_for(ws: WebSocket) -> tuple[str, str | None, Position | None]:
    """Give the room, the name and the position that the query names.

    Raises:
        ValueError: if one of them cannot be.
    """
    first = dict(reversed(ws.query.multi_items()))  # of a name that comes several times
    room, name, since = first.get("room", DEFAULT_ROOM), first.get("name"), first.get("since")
    if not 1 <= len(room) <= MAX_ROOM_NAME:
        raise ValueError(f"a room has 1 to {MAX_ROOM_NAME} characters")
    if name is not None and not 1 <= len(name) <= MAX_NAME:
        raise ValueError(f"a name has 1 to {MAX_NAME} characters")
    check_room_name(room)
    if name is not None:
        check_user_name(name)
    return room, name, None if since is None else Position.parse(since)


async def _refuse(ws: WebSocket, code: CloseCode, reason: str, *, status: int) -> None:
    """Turn a connection away in the way that its client can see: a browser always names an origin."""
    try:
        await ws.reject(code, reason, status=status, after_accept="origin" in ws.headers)
    except Disconnected:
        return  # it has gone by itself
