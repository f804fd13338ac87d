"""The chat as an ASGI app: the page over HTTP, and three WebSockets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute

from roomcast.admin import admin_app
from roomcast.app import websocket_app
from roomcast.auth import auth_from_environment
from roomcast.chat import sockets
from roomcast.health import healthz, readyz
from roomcast.pages import page_routes
from roomcast.rooms import Rooms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from roomcast.auth import Auth
    from roomcast.rooms import Broker, Retention
    from roomcast.websocket import WebSocket


def create_app(
    broker: str | Broker | None = None,
    *,
    retention: Retention | Mapping[str, Retention] | None = None,
    auth: Auth | None = None,
    admin_token: str | None = None,
) -> Starlette:
    """Make the chat.

    Args:
        broker: a broker, or its URL. Without one, `ROOMCAST_BROKER` of the environment, or else `memory://`.
        retention: what a room keeps, as in `Rooms`; what the broker keeps by itself, unless given.
        auth: who is let in. Without it, who brings a token that the environment says is good
            (`ROOMCAST_TOKEN_SECRET` and others); or else everybody.
        admin_token: what opens the operator's page, at /admin. Without it, `ROOMCAST_ADMIN_TOKEN` of the
            environment; where that is not set either, there is no such page.
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
            *page_routes("roomcast.chat"),
            *_admin_routes(rooms, admin_token or os.environ.get("ROOMCAST_ADMIN_TOKEN")),
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


def _admin_routes(rooms: Rooms, token: str | None) -> list[BaseRoute]:
    """Give the operator's page, where there is a token for it."""
    if not token:
        return []

    async def to_the_page(_request: Request) -> Response:
        # As the browser sees it, which a proxy may have given another path.
        return Response(status_code=307, headers={"location": "admin/"})

    return [Route("/admin", to_the_page), Mount("/admin", admin_app(rooms, token))]
