"""The chat's WebSockets: one handler each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.auth import Action
from roomcast.chat import wire
from roomcast.chat.visitor import MAX_NAME, let_in
from roomcast.close_codes import CloseCode
from roomcast.counts import Reason, counts
from roomcast.errors import AccessDenied, BrokerUnavailable, Disconnected, NotKept, Undecided
from roomcast.rooms import Position
from roomcast.rooms.names import check_room_name, check_user_name

if TYPE_CHECKING:
    from roomcast.auth import Auth
    from roomcast.chat.visitor import Visitor
    from roomcast.rooms import Member, Rooms
    from roomcast.websocket import WebSocket

DEFAULT_ROOM = "general"
MAX_ROOM_NAME = 128
"""The longest room name of the chat, in characters."""
MAX_TEXT = 4000
"""The longest message of the chat, in characters: the page's composer.js knows it too."""


NOT_KEPT = "The server could not keep your message: whoever is here has got it, but nobody will find it later."
NOT_SENT = "The server could not send your message: try again later."
NOT_DECIDED = "The server cannot find out now whether you may do that: try again later."
MAY_NOT_PUBLISH = "You may read in this room, but not write: your token does not allow it."
MAY_NOT_SEE_HISTORY = "You may not see what was said in this room before: your token does not allow it."


async def chat(ws: WebSocket, rooms: Rooms, auth: Auth | None = None) -> None:
    """Be in the room `?room=`, under the name `&name=`, and say there what the client says.

    A client of the page's subprotocol that comes back names the position up to which it knows the room with
    `&since=`, and gets what it missed.

    Args:
        ws: the connection.
        rooms: the chat's rooms.
        auth: who is let in, and to do what; None for everybody, and everything. Who is known goes by the name of
            its token, whatever `&name=` says.
    """
    try:
        room, name, since = _asked_for(ws)
    except ValueError as problem:
        await _refuse(ws, CloseCode.BAD_REQUEST, str(problem), status=400)
        return
    async with let_in(ws, room, name, auth) as visitor:
        await _stay(ws, room, since, visitor, rooms)


async def _stay(ws: WebSocket, room: str, since: Position | None, visitor: Visitor, rooms: Rooms) -> None:
    """Be in a room, as one who may."""
    knows_members = wire.SUBPROTOCOL in ws.subprotocols
    takes_tokens = knows_members or visitor.user is not None
    sees_members = Action.PRESENCE in visitor.allowed
    sees_history = since is None or Action.HISTORY in visitor.allowed
    encoder = wire.for_the_page if knows_members else wire.for_plain_clients

    async def welcome(member: Member) -> str:
        here = await rooms.members(room) if sees_members else [member.presence]
        active = await visitor.seen(await rooms.active())
        standing = None
        if visitor.user is not None:
            standing = wire.Standing(list(visitor.allowed), visitor.name, visitor.expires)
        if not sees_history:
            member.recovered = False
        return wire.welcome(member, here, active, await rooms.position(room), standing)

    async with rooms.join(
        room,
        ws,
        info={"name": visitor.name},
        user=visitor.user,
        encoder=encoder if sees_members else wire.messages_only,
        subprotocol=wire.SUBPROTOCOL if knows_members else None,
        since=since if sees_history else None,
        greet=welcome if knows_members else None,
    ) as member:
        visitor.on_expiry(member.close)
        if not sees_history and not knows_members:
            member.send(wire.error(MAY_NOT_SEE_HISTORY, code=CloseCode.FORBIDDEN))
        async for frame in member:
            if isinstance(frame, bytes):
                member.send(wire.error("the chat takes text; a binary message is nothing it can show"))
            elif takes_tokens and (token := wire.fresh_token(frame)) is not None:
                await _refresh(token, member, visitor)
            elif knows_members and wire.asks_for_rooms(frame):
                member.send(wire.room_list(await visitor.seen(await rooms.active())))
            else:
                said = wire.read(frame, with_key=knows_members)
                if len(said.text) > MAX_TEXT:
                    counts[Reason.MESSAGE_LENGTH] += 1
                    member.send(wire.error(f"a message has at most {MAX_TEXT:,} characters", said.key))
                elif said.text:
                    await _say(said, member, visitor, rooms)


async def _say(said: wire.Said, member: Member, visitor: Visitor, rooms: Rooms) -> None:
    """Publish what a member says; where that fails, the member is told, and goes on."""
    try:
        if not await visitor.may_publish():
            member.send(wire.error(MAY_NOT_PUBLISH, said.key, code=CloseCode.FORBIDDEN))
            return
        await rooms.publish(member.room, wire.message(said, member), key=said.key)
    except Undecided:
        member.send(wire.error(NOT_DECIDED, said.key))
    except NotKept:
        member.send(wire.error(NOT_KEPT, said.key))
    except BrokerUnavailable:
        member.send(wire.error(NOT_SENT, said.key))


async def _refresh(token: str, member: Member, visitor: Visitor) -> None:
    """Take a fresh token of a member, who is told what becomes of it."""
    try:
        may_stay = await visitor.refresh(token)
    except AccessDenied as denial:
        member.send(wire.error(str(denial), code=denial.code))
        return
    if may_stay:
        member.send(wire.token_taken(visitor.expires))
    else:
        member.close(CloseCode.FORBIDDEN, "this room is not open to you with the fresh token")


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
