"""The chat's wire formats: how a room's events are written for plain clients, and for the page.

A plain client needs nothing but a WebSocket, and gets two kinds of text frames:

    {"type":"message","text":…,"room":…,"from":…,"id":…,"offset":…,"time":…}
    {"type":"system","message":"Ada joined #general"}

A client that asks for the subprotocol `roomcast.chat.v1`, as the page does, first gets a welcome with who is here;
its notices also say who came or went, and it may ask for the rooms. It may name its messages with a `key`, a long
random one, by which a message that is sent again after a lost connection counts once; an error about such a
message names its key.

Where the chat wants tokens, the welcome also says under which `name` the client goes, what it `may` do in the
room ("join", "publish", "presence", "history"), and when its token `expires`, in seconds since the Unix epoch.
Before that, every client may send a fresh one, which is answered:

    {"type":"token","token":"eyJhbGciOi…"}
    {"type":"token","expires":1767225600}

or with an error, whose `code` says what is wrong: 4001 for a token that is no good, 4003 for what it does not
allow. An error without a code may be gone later. Without a fresh token, the connection is closed with 4001.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import jsontext
from roomcast.rooms import Joined, Publication

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.rooms import Left, Member, Position, Presence, RoomEvent

SUBPROTOCOL = "roomcast.chat.v1"
"""The subprotocol of clients that know members, rooms and keys."""
BEGINNING = '{"type":"message",'
"""With what every message begins that a member said."""
MAX_KEY = 64
"""The longest key of a message, in characters."""
MAX_TOKEN_FRAME = 10_000
"""The longest frame that may bring a fresh token, in characters."""
MAX_MEMBERS_TOLD = 200
"""How many members a welcome names; it counts them all."""
MAX_ROOMS_TOLD = 50
"""How many rooms a list of rooms names: those with the most members."""


class Said(NamedTuple):
    """What a client's text frame says.

    Attributes:
        text: the message; "" where there is none.
        key: the client's name for it, by which a repeated message is known.
    """

    text: str
    key: str | None = None


class Standing(NamedTuple):
    """How a client stands with the chat.

    Attributes:
        may: what it may do in the room.
        name: under which name it goes.
        expires: until when, in seconds since the Unix epoch; None for as long as it wants.
    """

    may: Sequence[str]
    name: str | None
    expires: float | None


def read(frame: str, *, with_key: bool) -> Said:
    """Read a client's text frame: a JSON object with `text`, or any other text, which then is the message.

    Args:
        frame: the frame.
        with_key: whether the client may name its messages.
    """
    try:
        value = jsontext.loads(frame)
    except ValueError:
        return Said(frame)
    text = value.get("text") if isinstance(value, dict) else None
    if not isinstance(text, str):
        return Said(frame)
    key = value.get("key") if with_key else None
    return Said(text, key) if isinstance(key, str) and 1 <= len(key) <= MAX_KEY else Said(text)


def asks_for_rooms(frame: str) -> bool:
    """Whether a frame of the subprotocol asks for the rooms: `{"type":"rooms"}`."""
    if len(frame) > 64:
        return False
    try:
        return bool(jsontext.loads(frame) == {"type": "rooms"})
    except ValueError:
        return False


def fresh_token(frame: str) -> str | None:
    """Give the token that a frame brings: `{"type":"token","token":…}`; None for any other frame."""
    if len(frame) > MAX_TOKEN_FRAME or '"token"' not in frame:
        return None
    try:
        value = jsontext.loads(frame)
    except ValueError:
        return None
    match value:
        case {"type": "token", "token": token}:
            return token if isinstance(token, str) else ""
    return None


def token_taken(expires: float | None) -> str:
    """Write the answer to a fresh token that was taken: until when it holds, None for ever."""
    return jsontext.dumps({"type": "token", "expires": expires})


def message(said: Said, author: Member) -> str:
    """Write a message as it is published; what is known only when it has its offset is added by the encoders."""
    fields = {
        "type": "message",
        "text": said.text,
        "room": author.room,
        "from": author.info["name"],
        "id": author.id,
        "key": said.key,
    }
    if said.key is None:
        del fields["key"]
    if fields["from"] is None:
        del fields["from"]
    return jsontext.dumps(fields)


def error(text: str, key: str | None = None, *, code: int | None = None) -> str:
    """Write an error for one client.

    Args:
        text: what is wrong.
        key: the key of the message that it is about, if that has one.
        code: what kind of error it is, where the same attempt would fail again: a close code.
    """
    fields: dict[str, Any] = {"type": "error", "message": text}
    if key is not None:
        fields["key"] = key
    if code is not None:
        fields["code"] = int(code)
    return jsontext.dumps(fields)


def welcome(
    member: Member,
    here: list[Presence],
    rooms: dict[str, int],
    position: Position,
    standing: Standing | None = None,
) -> str:
    """Write what a client of the subprotocol gets first.

    `recovered` says to one that named its last position whether all that it missed follows; without it, something
    may be missing before what follows.
    """
    fields = {
        "type": "welcome",
        "room": member.room,
        "id": member.id,
        "count": len(here),
        "members": [_person(presence) for presence in here[:MAX_MEMBERS_TOLD]],
        "rooms": _biggest(rooms),
        "position": {"offset": position.offset, "epoch": position.epoch},
    }
    if member.recovered is not None:
        fields["recovered"] = member.recovered
    if standing is not None:
        fields |= standing._asdict()
    return jsontext.dumps(fields)


def room_list(rooms: dict[str, int]) -> str:
    """Write the rooms for a client of the subprotocol that asked for them."""
    return jsontext.dumps({"type": "rooms", "rooms": _biggest(rooms)})


def for_plain_clients(event: RoomEvent) -> str | bytes | None:
    """Write an event for a plain client."""
    if isinstance(event, Publication):
        return _with_position(event)
    return jsontext.dumps(_notice(event))


def for_the_page(event: RoomEvent) -> str | bytes | None:
    """Write an event for a client of the subprotocol."""
    if isinstance(event, Publication):
        return _with_position(event)
    kind = "join" if isinstance(event, Joined) else "leave"
    return jsontext.dumps({**_notice(event), "event": kind, **_person(event.member)})


def messages_only(event: RoomEvent) -> str | bytes | None:
    """Write an event for a client, of either kind, that may not know who comes and goes."""
    return _with_position(event) if isinstance(event, Publication) else None


def _with_position(publication: Publication) -> str | None:
    """Add the offset and the time to a message, which is a JSON object already: once more parsed for nothing."""
    data, position = publication.data, publication.position
    if isinstance(data, bytes):
        return None  # the chat takes text, and so do its clients
    if not data.startswith(BEGINNING):
        data = _from_outside(data, publication.room)
    offset = "" if position is None else f',"offset":{position.offset}'
    return f'{data[:-1]}{offset},"time":{publication.time:.3f}}}'


def _from_outside(data: str, room: str) -> str:
    """Write as a message what no member said, but a script published: read as a member's frame is.

    It comes from no member, so its JSON may say `from` whom it is.
    """
    try:
        value = jsontext.loads(data)
    except ValueError:
        value = None
    match value:
        case {"text": str(text), "from": str(author)}:
            said = {"text": text, "from": author}
        case {"text": str(text)}:
            said = {"text": text}
        case _:
            said = {"text": data}
    return jsontext.dumps({"type": "message", **said, "room": room})


def _notice(event: Joined | Left) -> dict[str, str]:
    who = _person(event.member)["name"] or "A user"
    verb = "joined" if isinstance(event, Joined) else "left"
    return {"type": "system", "message": f"{who} {verb} #{event.room}"}


def _person(member: Presence) -> dict[str, Any]:
    return {"id": member.id, "name": member.info["name"] if member.info else None}


def _biggest(rooms: dict[str, int]) -> list[dict[str, Any]]:
    ordered = sorted(rooms.items(), key=lambda room: (-room[1], room[0]))
    return [{"name": name, "count": count} for name, count in ordered[:MAX_ROOMS_TOLD]]
