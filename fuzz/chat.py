"""Fuzzes what reads the chat's clients: their requests and their frames, and what scripts publish.

    make fuzz TARGETS=chat

The first byte of an input chooses what reads the rest. Whatever comes, what is written for the others is one JSON
object of the wire format, and says what was said; a fresh token is never a message.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import atheris

with atheris.instrument_imports(include=["roomcast.chat", "roomcast.jsontext", "roomcast.rooms.names"]):
    from roomcast import Position, Publication, WebSocket
    from roomcast.chat import sockets, wire

AUTHOR: Any = SimpleNamespace(room="general", id="1", info={"name": "Ada"})


def fuzz_frame(data: bytes, *, with_key: bool) -> None:
    """Read a client's frame, and write it for the others."""
    frame = data.decode(errors="replace")
    wire.asks_for_rooms(frame)
    wire.fresh_token(frame)
    said = wire.read(frame, with_key=with_key)
    assert said.key is None or (with_key and 1 <= len(said.key) <= wire.MAX_KEY)
    written = told(wire.message(said, AUTHOR))
    assert written["text"] == said.text
    assert (written["from"], written["id"], written["room"]) == ("Ada", "1", "general")
    if said.text != frame:
        assert said.text == json.loads(frame)["text"]
    assert json.loads(wire.error(frame, said.key, code=4003))["message"] == frame


def fuzz_published(data: bytes) -> None:
    """Write what a script published, which may look like a message itself."""
    text = data.decode(errors="replace")
    if not text.startswith(wire.BEGINNING):  # with which only the chat's own begin
        assert isinstance(told(text)["text"], str)


def told(text: str) -> dict[str, Any]:
    """What clients of both kinds get of a publication."""
    publication = Publication("general", text, 1.5, Position(7, "e"))
    written = wire.for_plain_clients(publication)
    assert written == wire.for_the_page(publication) == wire.messages_only(publication)
    assert isinstance(written, str)
    fields = json.loads(written)
    assert isinstance(fields, dict)
    assert (fields["type"], fields["offset"], fields["time"]) == ("message", 7, 1.5)
    return fields


def fuzz_request(data: bytes) -> None:
    """Read the query of a request."""
    ws = WebSocket({"type": "websocket", "path": "/", "headers": [], "query_string": data}, None, None)  # type: ignore[arg-type]
    try:
        room, name, _ = sockets._asked_for(ws)
    except ValueError:
        return
    assert 1 <= len(room) <= sockets.MAX_ROOM_NAME
    assert name is None or 1 <= len(name) <= sockets.MAX_NAME
    assert not any(character < " " for character in room + (name or ""))


def fuzz(data: bytes) -> None:
    """Take one input."""
    if not data:
        return
    choice, rest = data[0] % 4, data[1:]
    if choice < 2:
        fuzz_frame(rest, with_key=bool(choice))
    elif choice == 2:
        fuzz_published(rest)
    else:
        fuzz_request(rest)


if __name__ == "__main__":
    seeds = str(Path(__file__).with_name("corpus") / "chat")
    atheris.Setup([*sys.argv, seeds], fuzz)
    atheris.Fuzz()
