"""Rooms as they are written by hand, on `send` alone: at /ws/chat?room=NAME; all else is the echo.

It does what the documentation of ASGI's frameworks shows: a set of `send` callables for each room, and a loop that
awaits one after the other. Joins are not announced: with a thousand members, that alone would take a minute.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import echo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

rooms: dict[str, set[Send]] = {}


async def application(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Serve one connection."""
    if scope["type"] != "websocket" or scope["path"] != "/ws/chat":
        await echo.application(scope, receive, send)
        return
    room = parse_qs(scope["query_string"].decode())["room"][0]
    members = rooms.setdefault(room, set())
    await receive()
    await send({"type": "websocket.accept"})
    members.add(send)
    try:
        while (event := await receive())["type"] != "websocket.disconnect":
            text = json.loads(event["text"])["text"]
            await broadcast(members, {"type": "message", "text": text, "room": room})
    finally:
        members.discard(send)


async def broadcast(members: set[Send], message: dict[str, str]) -> None:
    """Send a message to all, and forget those that cannot be reached."""
    text = json.dumps(message)
    for send in list(members):
        try:
            await send({"type": "websocket.send", "text": text})
        except Exception:  # noqa: BLE001 - each server has its own
            members.discard(send)
