"""What happens in a room, as opaque bytes for the brokers and as messages for the members.

An event is a publication, a join or a leave. It crosses a broker in an envelope: a kind (1 byte), the time
(8 bytes), the length of the excluded member's id (1 byte), that id, and the payload. So does a closing,
which is no event that anybody is told of. A publication that is traced has a kind of its own, and between the
id and the payload the `traceparent` of its span.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomcast.errors import ConfigurationError
from roomcast.rooms.presence import Presence
from roomcast.rooms.publication import Position, Publication
from roomcast.tracing import TRACEPARENT_BYTES

if TYPE_CHECKING:
    from typing import TypeAlias

_TEXT, _BINARY, _JOINED, _LEFT, _CLOSING = b"t", b"b", b"j", b"l", b"c"
_TRACED_TEXT, _TRACED_BINARY = b"T", b"B"
TRACED = _TRACED_TEXT + _TRACED_BINARY
"""What the envelopes of traced publications begin with."""
_HEAD = struct.Struct(">cdB")
_CODE = struct.Struct(">H")
_MAX_ID = 255


@dataclass(frozen=True, slots=True)
class Joined:
    """A member came into a room. The member itself is not told."""

    room: str
    member: Presence


@dataclass(frozen=True, slots=True)
class Left:
    """A member went out of a room, in whatever way."""

    room: str
    member: Presence


@dataclass(frozen=True, slots=True)
class Closing:
    """The connections of all who are in a room, or belong to a user, are to be closed.

    Attributes:
        code: the close code.
        reason: the close reason.
    """

    code: int
    reason: str


RoomEvent: TypeAlias = "Publication | Joined | Left"

Encoder: TypeAlias = Callable[[RoomEvent], "str | bytes | None"]
"""Writes a room's events as the messages that its members get: one wire format.

Called once for an event and a node, however many members use the same encoder: hand the same function to all.
None means that members of this format get nothing for the event.
"""


def publications_only(event: RoomEvent) -> str | bytes | None:
    """Write publications as they were published, and joins and leaves not at all: the default encoder."""
    return event.data if isinstance(event, Publication) else None


def check_encoder(encoder: Encoder) -> Encoder:
    """Give back what can be an encoder.

    Raises:
        ConfigurationError: if it cannot: with it, an event would fail for all members of the room.
    """
    try:
        hash(encoder)
    except TypeError:
        usable = False
    else:
        usable = callable(encoder)
    if not usable:
        raise ConfigurationError(
            f"an encoder is a function that takes a room event, and hashable, not {encoder!r}"
        )
    return encoder


def to_envelope(event: RoomEvent | Closing) -> bytes:
    """Write an event, or a closing, as brokers carry it.

    Raises:
        UnicodeEncodeError: for a publication of text that has no UTF-8 form (a lone surrogate).
    """
    match event:
        case Publication():
            return publication_envelope(event.data, event.time, event.exclude)
        case Joined(member=member):
            return _seal(_JOINED, member.since, member.id, member.to_bytes())
        case Left(member=member):
            return _seal(_LEFT, member.since, member.id, member.to_bytes())
        case Closing(code=code, reason=reason):
            return _seal(_CLOSING, 0.0, None, _CODE.pack(code) + reason.encode())
    raise TypeError(f"expected a room event, not {type(event).__name__}")


def publication_envelope(data: str | bytes, time: float, exclude: str | None, traceparent: bytes = b"") -> bytes:
    """Write a publication that is about to be published as brokers carry it.

    Raises:
        UnicodeEncodeError: for text that has no UTF-8 form (a lone surrogate).
    """
    is_text = isinstance(data, str)
    payload = data.encode() if isinstance(data, str) else data
    if traceparent:
        return _seal(_TRACED_TEXT if is_text else _TRACED_BINARY, time, exclude, traceparent + payload)
    return _seal(_TEXT if is_text else _BINARY, time, exclude, payload)


def untraced(envelope: bytes) -> tuple[bytes, bytes]:
    """Give the `traceparent` of a traced publication's envelope, and the envelope without it."""
    kind, _, size = _HEAD.unpack_from(envelope)
    start = _HEAD.size + size
    end = start + TRACEPARENT_BYTES
    return envelope[start:end], kind.lower() + envelope[1:start] + envelope[end:]


def from_envelope(room: str, position: Position | None, envelope: bytes) -> RoomEvent | Closing:
    """Read what `to_envelope` wrote."""
    kind, time, size = _HEAD.unpack_from(envelope)
    start = _HEAD.size + size
    exclude = envelope[_HEAD.size : start].decode() if size else None
    payload = envelope[start:]
    if kind == _TEXT:
        return Publication(room, payload.decode(), time, position, exclude)
    if kind == _BINARY:
        return Publication(room, payload, time, position, exclude)
    if kind == _JOINED:
        return Joined(room, Presence.from_bytes(payload))
    if kind == _LEFT:
        return Left(room, Presence.from_bytes(payload))
    if kind == _CLOSING:
        (code,) = _CODE.unpack_from(payload)
        return Closing(code, payload[_CODE.size :].decode())
    if kind in TRACED:
        return from_envelope(room, position, untraced(envelope)[1])
    raise ValueError(f"an envelope of kind {kind!r}, which this version does not know")


def excluded(event: RoomEvent) -> str | None:
    """Give the id of the member that does not get the event, if any."""
    return event.exclude if isinstance(event, Publication) else event.member.id


def _seal(kind: bytes, time: float, exclude: str | None, payload: bytes) -> bytes:
    name = (exclude or "").encode()
    if len(name) > _MAX_ID:
        name = b""  # no member has such an id: there is nobody to leave out
    return _HEAD.pack(kind, time, len(name)) + name + payload
