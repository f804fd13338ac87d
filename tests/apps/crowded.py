"""An app with very many rooms and the operator's page, for the tests of that in a browser."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute

from roomcast import Presence, Rooms
from roomcast.admin import admin_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.websockets import WebSocket

ROOMS = int(os.environ.get("CROWDED_ROOMS", "10000"))
HOSTILE = [
    "<img src=x onerror='window.ran = true'>",
    "</button><script>window.ran = true</script>",
    "&lt;b&gt; \"quoted\" 'too' ${window.ran = true}",
    "w" * 255,
    "a long name with spaces " * 10,
    "غرفة الأخبار",
]

rooms = Rooms()


async def join(websocket: WebSocket) -> None:
    """Be in a room, and say there what comes."""
    room, user, name = (websocket.query_params.get(field) for field in ("room", "user", "name"))
    assert room is not None
    async with rooms.join(room, websocket, user=user, info={"name": name}) as member:
        async for message in member:
            await rooms.publish(room, message)


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Open the rooms, with members in them that only the broker knows of, as those of another node are."""
    async with rooms:
        names = [*HOSTILE, *(f"room {number:05}" for number in range(ROOMS - len(HOSTILE)))]
        for place, room in enumerate(names):
            for number in range(max(1, 300 // (place + 1))):
                member = Presence.of(f"far-{place}-{number}", f"user-{number}", {"name": HOSTILE[number % 6]})
                await rooms._broker.arrive(room, member.id, member.to_bytes())
        yield


app = Starlette(
    routes=[Mount("/admin", admin_app(rooms, "opens-the-page")), WebSocketRoute("/ws", join)],
    lifespan=lifespan,
)
