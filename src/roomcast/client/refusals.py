"""What a server said instead of opening a WebSocket, in words."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from roomcast.errors import HandshakeRefused

if TYPE_CHECKING:
    from roomcast.errors import HandshakeFailed

MAX_SAID = 300
"""How many characters of a refusal's body are told."""

_HINTS = {
    400: "the server did not take the request as it was made",
    401: "it wants to know who you are: use --token",
    403: "what you are allowed there does not include this: another --token, or another Origin header, might",
    404: "there is no WebSocket at this path",
    405: "there is no WebSocket at this path",
    426: "there is no WebSocket at this path, or a proxy before it does not pass the Upgrade header on",
    429: "it has had too much of you: come back later; for load tests, roomcast serve has --no-limits",
    502: "a proxy answers, and the server behind it does not",
    503: "the server takes nobody now, or it is gone from behind its proxy: come back later",
    504: "a proxy answers, and the server behind it takes too long",
}


def explained(error: HandshakeFailed) -> str:
    """Say in one line what became of a handshake, and what may be done about it."""
    if not isinstance(error, HandshakeRefused) or error.status is None:
        return str(error)
    status = error.status
    try:
        named = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        named = str(status)
    said = body_text(error)
    return f"the server refused with HTTP status {named}{f' ({said})' if said else ''}: {_hint(error, status)}"


def body_text(error: HandshakeRefused) -> str:
    """Give the text of a refusal's body in one line: of a page its title, of JSON its reason."""
    text = error.body.decode("utf-8", "replace")
    if b"html" in dict(error.headers).get(b"content-type", b"").lower():
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = title[1] if title else ""
    line = "".join(char if char.isprintable() else " " for char in text)
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        pass
    else:
        if isinstance(said, dict) and isinstance(said.get("reason"), str):  # as Roomcast's own are
            line = said["reason"]
        elif isinstance(said, dict) and len(said) == 1:
            line = str(next(iter(said.values())))
    line = " ".join(line.split())
    return line if len(line) <= MAX_SAID else line[:MAX_SAID] + "…"


def _hint(error: HandshakeRefused, status: int) -> str:
    location = dict(error.headers).get(b"location", b"").decode("latin-1")
    if 300 <= status <= 399 and location:
        return f"it is at {location} now: connect there"
    if 200 <= status <= 299:
        return "what is there is no WebSocket, but something to open in a browser"
    hint = _HINTS.get(status)
    if hint is None:
        return "its log says why" if status >= 500 else "it does not open a WebSocket for this request"
    return hint
