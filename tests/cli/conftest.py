"""Servers that commands talk to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roomcast import WebSocket, websocket_app
from roomcast.chat.app import create_app
from roomcast.testing import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@websocket_app
async def application(ws: WebSocket) -> None:
    match ws.path:
        case "/refused":
            await ws.reject(4003, "not you", status=403)
        case "/closing":
            await ws.accept()
            await ws.send("hello")
            await ws.close(4020, "too slow")
        case "/who":
            await ws.accept(subprotocol=ws.subprotocols[0] if ws.subprotocols else None)
            await ws.send_json({"token": ws.headers.get("authorization"), "x": ws.headers.get("x-more")})
            await ws.close()
        case "/evil":
            await ws.accept()
            await ws.send("\x1b]0;owned\x07\x1b[2J")
            await ws.send(b"\x00\xff")
            await ws.close()
        case "/silent":
            await ws.accept()
            async for _ in ws:
                pass
        case _:
            await ws.accept()
            async for message in ws:
                await ws.send(message)


@pytest.fixture(scope="session")
def server() -> Iterator[LiveServer]:
    """A server with an app that does what its path says."""
    with LiveServer(application) as live:
        yield live


@pytest.fixture(scope="session")
def chat() -> Iterator[LiveServer]:
    """The chat."""
    with LiveServer(create_app("memory://")) as live:
        yield live
