"""Frames written the plain way, and allowed to be wrong: what the tests hold the protocol against."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from roomcast.errors import ProtocolError
from roomcast.protocol.connection import Connection
from roomcast.protocol.sending import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomcast.protocol.events import Event

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = b"\x37\xfa\x21\x3d",
    length: int | None = None,
    form: int | None = None,
) -> bytes:
    """Write a frame; `key` None leaves it unmasked, `length` and `form` (0, 2 or 8 bytes) may lie."""
    announced = len(payload) if length is None else length
    if form is None:
        form = 0 if announced < 126 else 2 if announced < 65536 else 8
    second = (announced, 0, 126, 0, 0, 0, 0, 0, 127)[form] | (0 if key is None else 0x80)
    head = bytes(((0x80 if fin else 0) | rsv << 4 | opcode, second))
    if form:
        head += announced.to_bytes(form, "big")
    if key is None:
        return head + payload
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def chopped(data: bytes, seed: int | None) -> Iterable[bytes]:
    """Cut a stream: into single bytes, or anywhere."""
    if seed is None:
        for at in range(len(data)):
            yield data[at : at + 1]
        return
    chance = random.Random(seed)
    at = 0
    while at < len(data):
        size = min(int(chance.expovariate(0.1)), len(data))
        yield data[at : at + size]
        at += size


def server() -> Connection:
    return Connection(Role.SERVER)


def client() -> Connection:
    return Connection(Role.CLIENT)


def events_of(connection: Connection, pieces: Iterable[bytes]) -> list[Event]:
    return [event for piece in pieces for event in connection.receive_data(piece)]


def plain(events: Iterable[Event], *, deflated: bool = False) -> list[object]:
    """Make events comparable: an error is what it says.

    A deflated message that is wrong in two ways may be failed for either, as inflate looks ahead: only the
    place of the error is told.
    """
    return [
        event
        if not isinstance(event, ProtocolError)
        else (event.position,)
        if deflated
        else (type(event), event.code, event.reason, event.position)
        for event in events
    ]
