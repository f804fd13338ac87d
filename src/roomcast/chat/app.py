"""The chat as an ASGI app: the page over HTTP, and three WebSockets."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from roomcast.app import websocket_app
from roomcast.auth import auth_from_environment
from roomcast.chat import sockets
from roomcast.health import healthz, readyz
from roomcast.rooms import Rooms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from roomcast.auth import Auth
    from roomcast.rooms import Broker, Retention
    from roomcast.websocket import WebSocket

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def create_app(
    broker: str | Broker | None = None,
    *,
    retention: Retention | Mapping[str, Retention] | None = None,
    auth: Auth | None = None,
) -> Starlette:
    """Make the chat.

    Args:
        broker: a broker, or its URL. Without one, `ROOMCAST_BROKER` of the environment, or else `memory://`.
        retention: what a room keeps, as in `Rooms`; what the broker keeps by itself, unless given.
        auth: who is let in. Without it, who brings a token that the environment says is good
            (`ROOMCAST_TOKEN_SECRET` and others); or else everybody.
    """
    rooms = Rooms(broker, retention=retention)
    if auth is None:
        auth = auth_from_environment()

    async def chat(ws: WebSocket) -> None:
        await sockets.chat(ws, rooms, auth)

    def for_those_let_in(handle: Callable[[WebSocket], Awaitable[None]]) -> Callable[[WebSocket], Awaitable[None]]:
        if auth is None:
            return handle
        admit = auth.admit

        async def guarded(ws: WebSocket) -> None:
            async with admit(ws):
                await handle(ws)

        return guarded

    app = Starlette(
        routes=[
            *_page_routes(),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            WebSocketRoute("/ws/chat", websocket_app(chat)),
            WebSocketRoute("/ws/echo", websocket_app(for_those_let_in(sockets.echo))),
            WebSocketRoute("/ws/binary", websocket_app(for_those_let_in(sockets.binary))),
            WebSocketRoute("/{path:path}", websocket_app(sockets.not_found)),
        ],
        lifespan=rooms.lifespan,
    )
    app.router.redirect_slashes = False  # what is not there is 404, and not somewhere else
    return app


def _page_routes() -> list[Route]:
    folder = resources.files("roomcast.chat").joinpath("page")
    return [_file_route(file.name, file.read_bytes()) for file in folder.iterdir() if file.is_file()]


def _file_route(name: str, content: bytes) -> Route:
    """Serve one file of the page from memory: they are few and small."""
    media_type = MEDIA_TYPES[name[name.rindex(".") :]]

    async def serve(_request: Request) -> Response:
        return Response(content, media_type=media_type, headers=PAGE_HEADERS)

    return Route("/" if name == "index.html" else f"/{name}", serve)
