"""Wire: what an operator's page and the server say to each other, as JSON. Every message has a bound."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from roomcast import jsontext
from roomcast.rooms.names import MAX_NAME

if TYPE_CHECKING:
    from roomcast.admin.survey import Findings
    from roomcast.rooms import Presence

SUBPROTOCOL = "roomcast.admin.v1"
MAX_FRAME = 16_384
"""The longest message of a page, in characters."""
MAX_NOTICE = 2_000
"""The longest notice, in characters: the page knows it, too."""
MAX_REASON = 120
"""The longest reason, in bytes of UTF-8: a close frame has room for 123."""
MAX_OFFSET = 1_000_000
ROOMS_A_PAGE = 50
MEMBERS_A_PAGE = 50
NODES_TOLD = 200
MAX_INFO = 200
"""How many characters are shown of what an app tells of a member."""


@dataclass(frozen=True, slots=True)
class View:
    """What an operator looks at.

    Attributes:
        search: what the names of the listed rooms have in them.
        offset: how many larger rooms are left out.
        room: the room whose members are listed, None for none.
        member: what the listed members have in their name, user or id.
        member_offset: how many members that came earlier are left out.
    """

    search: str = ""
    offset: int = 0
    room: str | None = None
    member: str = ""
    member_offset: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """The token, which comes first."""

    token: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close all connections of a user."""

    user: str
    reason: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Close the connection of one member of a room."""

    room: str
    member: str
    reason: str


@dataclass(frozen=True, slots=True)
class CloseRoom:
    """Close the connections of all who are in a room."""

    room: str
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell a room something, or all rooms (None)."""

    room: str | None
    text: str


Action: TypeAlias = "Disconnect | Remove | CloseRoom | Notice"
Asked: TypeAlias = "Token | View | Disconnect | Remove | CloseRoom | Notice"


def read(frame: str | bytes) -> tuple[Asked, int]:
    """Read what a page says, and the number that it gave it, which the answer names.

    Raises:
        ValueError: if it is nothing that a page says.
    """
    if not isinstance(frame, str) or len(frame) > MAX_FRAME:
        raise ValueError(f"a page's message is text of at most {MAX_FRAME} characters")
    said = jsontext.loads(frame)
    match said:
        case {"id": int(number)}:
            return _asked(said), number
        case _:
            return _asked(said), 0


def _asked(said: Any) -> Asked:  # noqa: ANN401 - whatever JSON can carry
    match said:
        case {"type": "token", "token": str(token)}:
            return Token(token)
        case {
            "type": "view",
            "search": str(search),
            "offset": int(offset),
            "room": str() | None as room,
            "member": str(member),
            "member_offset": int(member_offset),
        }:
            if max(map(len, (search, room or "", member))) > MAX_NAME:
                raise ValueError(f"a search has at most {MAX_NAME} characters")
            return View(search, _bounded(offset), room, member, _bounded(member_offset))
        case {"type": "disconnect", "user": str(user), "reason": str(reason)}:
            return Disconnect(user, _reason(reason))
        case {"type": "remove", "room": str(room), "member": str(member), "reason": str(reason)}:
            return Remove(room, member, _reason(reason))
        case {"type": "close", "room": str(room), "reason": str(reason)}:
            return CloseRoom(room, _reason(reason))
        case {"type": "notice", "room": str() | None as room, "text": str(text)}:
            if not 1 <= len(text.strip()) <= MAX_NOTICE:
                raise ValueError(f"a notice has 1 to {MAX_NOTICE:,} characters")
            return Notice(room, text.strip())
    raise ValueError("expected token, view, disconnect, remove, close or notice, with their fields")


def _bounded(offset: int) -> int:
    return min(max(offset, 0), MAX_OFFSET)


def _reason(reason: str) -> str:
    if len(reason.encode("utf-8", "surrogatepass")) > MAX_REASON:
        raise ValueError(f"a reason has at most {MAX_REASON} bytes of UTF-8")
    return reason.strip()


def welcome() -> str:
    """Write that the token is right."""
    return jsontext.dumps({"type": "welcome"})


def state(findings: Findings, view: View, matching: int, page: list[tuple[str, int]], room: Any) -> str:  # noqa: ANN401
    """Write what an operator looks at, as it is now."""
    nodes = findings.nodes
    return jsontext.dumps(
        {
            "type": "state",
            "time": findings.time,
            "totals": {
                "nodes": len(nodes),
                "rooms": len(findings.rooms),
                "members": sum(findings.rooms.values()),
                "published": round(sum(node.published for node in nodes), 1),
                "delivered": round(sum(node.delivered for node in nodes), 1),
                "queued_bytes": sum(node.queued_bytes for node in nodes),
            },
            "nodes": [asdict(node) for node in nodes[:NODES_TOLD]],
            "largest": max(findings.rooms.values(), default=0),
            "rooms": {"search": view.search, "offset": view.offset, "matching": matching, "page": page},
            "room": room,
        }
    )


def room_state(view: View, count: int, members: list[Presence] | None) -> dict[str, Any]:
    """Describe the room that an operator looks at; `members` is None where they are too many to be listed."""
    fields = {"name": view.room, "count": count, "member": view.member, "offset": view.member_offset}
    if members is None:
        return {**fields, "matching": None, "page": []}
    matching = [told for told in map(_member, members) if _is_like(told, view.member)]
    return {
        **fields,
        "matching": len(matching),
        "page": matching[view.member_offset : view.member_offset + MEMBERS_A_PAGE],
    }


def _member(member: Presence) -> dict[str, Any]:
    match member.info:
        case {"name": str(name)}:
            shown = name
        case None | {"name": None}:
            shown = ""
        case str(info):
            shown = info
        case info:
            shown = jsontext.dumps(info)
    return {"id": member.id, "user": member.user, "info": shown[:MAX_INFO], "since": member.since}


def _is_like(member: dict[str, Any], search: str) -> bool:
    wanted = search.casefold()
    return any(wanted in (member[field] or "").casefold() for field in ("id", "user", "info"))


def trouble(message: str) -> str:
    """Write that nothing can be told just now, and why."""
    return jsontext.dumps({"type": "trouble", "message": message})


def done(number: int, message: str) -> str:
    """Write that what was asked for is done."""
    return jsontext.dumps({"type": "done", "id": number, "message": message})


def failed(number: int, message: str) -> str:
    """Write that what was asked for is not done, and why."""
    return jsontext.dumps({"type": "failed", "id": number, "message": message})
