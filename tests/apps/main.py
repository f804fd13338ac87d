"""The apps that the tests of `roomcast serve` serve, from this folder."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.applications import Starlette

from roomcast import Rooms, WebSocket, websocket_app
from roomcast.auth import auth_from_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Scope: TypeAlias = dict[str, Any]


async def app(scope: Scope, receive: Any, send: Any) -> None:
    """Tell over HTTP what the app knows of its process, and echo over WebSocket."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
    else:
        body = {"scheme": scope["scheme"], "broker": os.environ.get("ROOMCAST_BROKER"), "pid": os.getpid()}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def patient(scope: Scope, receive: Any, send: Any) -> None:
    """Be complete only when the test opens the other end of a named pipe."""
    if scope["type"] == "lifespan":
        await asyncio.to_thread(Path(os.environ["PIPE"]).read_bytes)
    await app(scope, receive, send)


async def stubborn(scope: Scope, receive: Any, send: Any) -> None:
    """Take no notice of a disconnect."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(3600)
    await app(scope, receive, send)


async def flood(scope: Scope, receive: Any, send: Any) -> None:
    """Send numbered messages of 32 KiB: as many as the query asks for, or without an end."""
    if scope["type"] != "websocket":
        await app(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    asked = scope["query_string"].removeprefix(b"messages=")
    for number in range(int(asked) if asked else 1 << 30):
        await send({"type": "websocket.send", "text": f"{number:08}" + "x" * 32760})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def stuck(scope: Scope, receive: Any, _send: Any) -> None:
    """Never be complete."""
    assert scope["type"] == "lifespan"
    await receive()
    await asyncio.sleep(3600)


@asynccontextmanager
async def never(_app: Starlette) -> AsyncIterator[None]:
    """Never be complete, as a Starlette app."""
    await asyncio.sleep(3600)
    yield


async def clinging(scope: Scope, receive: Any, send: Any) -> None:
    """Never be done with the shutdown."""
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await asyncio.sleep(3600)


async def failing(scope: Scope, receive: Any, send: Any) -> None:
    """Fail in the startup."""
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "there is no database"})


def make_app() -> Any:
    """Make the app, which needs the loop that it will run in, as a factory may."""
    asyncio.get_running_loop()
    return app


def broken_factory() -> Any:
    """Fail to make the app."""
    raise KeyError("DATABASE_URL")


rooms = Rooms("memory://")


@rooms.wrap
@websocket_app
async def lounge(ws: WebSocket) -> None:
    """Let everybody join as the same user."""
    async with rooms.join("lounge", ws, user="ada") as member:
        async for _ in member:
            pass


stuck_starlette = Starlette(lifespan=never)
site = SimpleNamespace(app=app, name="site")


@websocket_app
async def guarded(ws: WebSocket) -> None:
    """Tell who it is, to those who bring a token that the environment says is good."""
    auth = auth_from_environment()
    assert auth is not None
    async with auth.admit(ws) as caller:
        await ws.accept()
        await ws.send(caller.user)
