"""Roomcast's rooms, in an app that tells nobody who comes and goes: at /ws/chat?room=NAME; all else is the echo.

What the chat's members are told of each other grows with the square of how many they are: letting ten thousand in
would take minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import echo

from roomcast import Rooms, WebSocket

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

rooms = Rooms()


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection."""
    if scope["type"] != "websocket" or scope["path"] != "/ws/chat":
        await echo.application(scope, receive, send)
        return
    ws = WebSocket(scope, receive, send)
    room = ws.query["room"]
    async with rooms.join(room, ws) as member:
        async for message in member:
            await rooms.publish(room, message)


application = rooms.wrap(serve)
