"""The same small app in each framework: members who say what they send to their whole room, `?room=` as `&name=`.

What a handler does after it has joined is in its path.

- /member receives through its member.
- /own receives as the framework does it, or is called back by it.
- /busy waits for something else, and never receives.
- /forgets is in the room by `enter`, and never leaves it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from roomcast.rooms.lifespan import with_lifespan

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from roomcast import Member, Rooms

PATHS = ("member", "own", "busy", "forgets")


class App:
    """What the apps share.

    Attributes:
        rooms: the rooms.
        patience: what those wait for who are busy.
        left: whose handlers have returned, or were told of the disconnect.
    """

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.patience = asyncio.Event()
        self.left: list[str] = []

    async def serve(self, path: str, ws: Any, scope: Any, own: Any) -> None:
        """Serve a connection to its end. `own` gives its messages as the framework does, and ends with them."""
        room, name = asked(scope)
        try:
            if path == "forgets":
                await self.rooms.enter(room, ws, info=name)
                await self.patience.wait()
                return
            async with self.rooms.join(room, ws, info=name) as member:
                if path == "busy":
                    await self.patience.wait()
                else:
                    async for message in member if path == "member" else own():
                        await self.rooms.publish(room, message)
        finally:
            self.left.append(name)


def asked(scope: Any) -> tuple[str, str]:
    query = parse_qs(scope["query_string"].decode())
    return query["room"][0], query["name"][0]


def raw(app: App) -> ASGIApp:
    """The member receives what the app's own `receive` would."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            raise NotImplementedError
        ws = (scope, receive, send)
        await app.serve(scope["path"][1:].replace("own", "member"), ws, scope, None)

    return with_lifespan(application, app.rooms)


def raw_wrapped(app: App) -> ASGIApp:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async def own() -> Any:
            while (event := await receive())["type"] == "websocket.receive":
                yield event["bytes"] if event.get("text") is None else event["text"]

        await app.serve(scope["path"][1:], (scope, receive, send), scope, own)

    return app.rooms.wrap(application)


def roomcast(app: App) -> ASGIApp:
    from roomcast import websocket_app

    @websocket_app
    async def application(ws: Any) -> None:
        await app.serve(ws.path[1:], ws, ws.scope, lambda: ws)

    return with_lifespan(application, app.rooms)


def starlette(app: App) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    async def endpoint(ws: WebSocket) -> None:
        await app.serve(ws.path_params["path"], ws, ws.scope, lambda: messages(ws))

    return Starlette(routes=[WebSocketRoute("/{path}", endpoint)], lifespan=app.rooms.lifespan)


def starlette_wrapped(app: App) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    async def endpoint(ws: WebSocket) -> None:
        await ws.accept()
        await app.serve(ws.path_params["path"], ws, ws.scope, lambda: messages(ws))

    return app.rooms.wrap(Starlette(routes=[WebSocketRoute("/{path}", endpoint)]))


def starlette_endpoint(app: App) -> Any:
    """Starlette receives, and calls back."""
    from starlette.applications import Starlette
    from starlette.endpoints import WebSocketEndpoint
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    class Endpoint(WebSocketEndpoint):
        encoding = None
        member: Member

        async def on_connect(self, websocket: WebSocket) -> None:
            room, name = asked(websocket.scope)
            self.member = await app.rooms.enter(room, websocket, info=name)

        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            assert websocket.path_params["path"] in PATHS
            await app.rooms.publish(self.member.room, data)

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            assert close_code
            if websocket.path_params["path"] != "forgets":
                await self.member.leave()
            app.left.append(self.member.info)

        async def decode(self, websocket: WebSocket, message: Any) -> Any:
            assert websocket
            return message["bytes"] if message.get("text") is None else message["text"]

    return Starlette(routes=[WebSocketRoute("/{path}", Endpoint)], lifespan=app.rooms.lifespan)


async def messages(ws: Any) -> Any:
    """What comes, as Starlette and Litestar give it."""
    while (event := await ws.receive())["type"] == "websocket.receive":
        yield event["bytes"] if event.get("text") is None else event["text"]


def fastapi(app: App) -> Any:
    from fastapi import FastAPI, WebSocket

    async def endpoint(ws: WebSocket, path: str) -> None:
        await app.serve(path, ws, ws.scope, lambda: messages(ws))

    # Not as decorators: the annotations of a function within a function are not found from outside it.
    endpoint.__annotations__ |= {"ws": WebSocket, "path": str}
    fastapi = FastAPI(lifespan=app.rooms.lifespan)
    fastapi.websocket("/{path}")(endpoint)
    return fastapi


def litestar(app: App) -> Any:
    from litestar import Litestar, WebSocket, websocket

    async def endpoint(socket: WebSocket[Any, Any, Any]) -> None:
        await app.serve(socket.scope["path"][1:], socket, socket.scope, lambda: messages(socket))

    endpoint.__annotations__ = {"socket": WebSocket, "return": None}
    return Litestar([websocket([f"/{path}" for path in PATHS])(endpoint)], lifespan=[app.rooms.lifespan])


def quart(app: App) -> Any:
    from quart import Quart, websocket

    async def own() -> Any:
        while True:
            yield await websocket.receive()

    async def endpoint(path: str) -> None:
        await app.serve(path, websocket, websocket.scope, own)

    application = Quart(__name__)
    application.websocket("/<path>")(endpoint)
    application.asgi_app = app.rooms.wrap(application.asgi_app)  # type: ignore[method-assign, assignment, arg-type]
    return application


def configure_django() -> None:
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            SECRET_KEY="tests", INSTALLED_APPS=["channels"], ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None
        )
        import django

        django.setup()


def channels(app: App) -> Any:
    configure_django()
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path as route

    class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
        member: Member

        @property
        def path(self) -> str:
            return str(self.scope["url_route"]["kwargs"]["path"])

        async def connect(self) -> None:
            if self.path == "own":
                await self.accept()
            room, name = asked(self.scope)
            self.member = await app.rooms.enter(room, self, info=name)

        async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            await app.rooms.publish(self.member.room, bytes_data if text_data is None else text_data)

        async def disconnect(self, code: int) -> None:
            assert code
            if self.path != "forgets":
                await self.member.leave()
            app.left.append(self.member.info)

    return app.rooms.wrap(
        ProtocolTypeRouter(
            {"websocket": URLRouter([route("<str:path>", Consumer.as_asgi())])}
        )  # the scope's copies
    )


def channels_sync(app: App) -> Any:
    configure_django()
    from asgiref.sync import async_to_sync
    from channels.generic.websocket import WebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path as route

    class Consumer(WebsocketConsumer):  # type: ignore[misc]
        member: Member

        def connect(self) -> None:
            self.accept()
            room, name = asked(self.scope)
            self.member = async_to_sync(app.rooms.enter)(room, self, info=name)

        def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            app.rooms.publish_threadsafe(self.member.room, bytes_data if text_data is None else text_data).result(
                10
            )

        def disconnect(self, code: int) -> None:
            assert code
            if self.scope["url_route"]["kwargs"]["path"] != "forgets":
                async_to_sync(self.member.leave)()
            app.left.append(self.member.info)

    return app.rooms.wrap(ProtocolTypeRouter({"websocket": URLRouter([route("<str:path>", Consumer.as_asgi())])}))


FRAMEWORKS = (
    raw,
    raw_wrapped,
    roomcast,
    starlette,
    starlette_wrapped,
    starlette_endpoint,
    fastapi,
    litestar,
    quart,
    channels,
    channels_sync,
)
