"""The same small app in each framework: what it does is in its path.

- /echo sends back what comes, text as text and binary as binary, until the peer goes.
- /denied refuses with 401 and a body where the framework can, else with a close before the accept.
- /talks sends until sending fails.
- /listens receives until receiving fails.
- /fails raises after the accept.
"""

from __future__ import annotations

import asyncio
from typing import Any


class TheAppsOwnError(Exception):
    """What /fails raises."""


def starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket, WebSocketDisconnect

    async def echo(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                message = await ws.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if message.get("text") is not None:
                    await ws.send_text(message["text"])
                else:
                    await ws.send_bytes(message["bytes"])
        except WebSocketDisconnect:
            return

    async def denied(ws: WebSocket) -> None:
        await ws.send_denial_response(PlainTextResponse("no", status_code=401))

    async def talks(ws: WebSocket) -> None:
        await ws.accept()
        while True:
            await ws.send_text("x")
            await asyncio.sleep(0)

    async def listens(ws: WebSocket) -> None:
        await ws.accept()
        while True:
            await ws.receive_text()

    async def fails(ws: WebSocket) -> None:
        await ws.accept()
        raise TheAppsOwnError("oh")

    return Starlette(
        routes=[
            WebSocketRoute("/echo", echo),
            WebSocketRoute("/denied", denied),
            WebSocketRoute("/talks", talks),
            WebSocketRoute("/listens", listens),
            WebSocketRoute("/fails", fails),
        ]
    )


def fastapi() -> Any:
    from fastapi import FastAPI, WebSocket
    from starlette.responses import PlainTextResponse

    app = FastAPI()

    async def echo(ws: WebSocket) -> None:
        await ws.accept()
        while True:
            message = await ws.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await ws.send_text(message["text"])
            else:
                await ws.send_bytes(message["bytes"])

    async def denied(ws: WebSocket) -> None:
        await ws.send_denial_response(PlainTextResponse("no", status_code=401))

    async def talks(ws: WebSocket) -> None:
        await ws.accept()
        while True:
            await ws.send_text("x")
            await asyncio.sleep(0)

    async def listens(ws: WebSocket) -> None:
        await ws.accept()
        while True:
            await ws.receive_text()

    async def fails(ws: WebSocket) -> None:
        await ws.accept()
        raise TheAppsOwnError("oh")

    # Not as decorators: the annotations of a function within a function are not found from outside it.
    for function in (echo, denied, talks, listens, fails):
        function.__annotations__["ws"] = WebSocket
        app.websocket(f"/{function.__name__}")(function)
    return app


def litestar() -> Any:
    from litestar import Litestar, WebSocket, websocket
    from litestar.exceptions import WebSocketDisconnect

    async def echo(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        try:
            while True:
                message: Any = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text")
                if text is not None:
                    await socket.send_text(text)
                else:
                    await socket.send_bytes(message["bytes"])
        except WebSocketDisconnect:
            return

    async def denied(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.close(code=4401, reason="no")

    async def talks(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        while True:
            await socket.send_text("x")
            await asyncio.sleep(0)

    async def listens(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        while True:
            await socket.receive_text()

    async def fails(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        raise TheAppsOwnError("oh")

    handlers = []
    for function in (echo, denied, talks, listens, fails):
        function.__annotations__ = {"socket": WebSocket, "return": None}
        handlers.append(websocket(f"/{function.__name__}")(function))
    return Litestar(handlers)


def quart() -> Any:
    from quart import Quart, abort, websocket

    app = Quart(__name__)

    async def echo() -> None:
        while True:
            message = await websocket.receive()
            await websocket.send(message)

    async def denied() -> None:
        abort(401)

    async def talks() -> None:
        while True:
            await websocket.send("x")
            await asyncio.sleep(0)

    async def listens() -> None:
        while True:
            await websocket.receive()

    async def fails() -> None:
        await websocket.accept()
        raise TheAppsOwnError("oh")

    for function in (echo, denied, talks, listens, fails):
        app.websocket(f"/{function.__name__}")(function)
    return app


def channels() -> Any:
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            SECRET_KEY="tests", INSTALLED_APPS=["channels"], ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None
        )
        import django

        django.setup()

    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path

    class Echo(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            await self.send(text_data=text_data, bytes_data=bytes_data)

    class Denied(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            await self.close(code=4401)

    class Talks(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            await self.accept()
            while True:
                await self.send(text_data="x")
                await asyncio.sleep(0)

    class Listens(AsyncWebsocketConsumer):  # type: ignore[misc]
        pass

    class Fails(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            await self.accept()
            raise TheAppsOwnError("oh")

    consumers: dict[str, Any] = {
        "echo": Echo,
        "denied": Denied,
        "talks": Talks,
        "listens": Listens,
        "fails": Fails,
    }
    routes = [path(name, consumer.as_asgi()) for name, consumer in consumers.items()]
    return ProtocolTypeRouter({"websocket": URLRouter(routes)})
