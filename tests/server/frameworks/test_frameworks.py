"""Apps of every framework run on the server unchanged, and hear of a disconnect in their way, without noise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.protocol.wire import BINARY, CLOSE, frame
from tests.server.frameworks import apps
from tests.server.peer import Frame, Peer, close_frame, message_frame, text_frame

if TYPE_CHECKING:
    from tests.server.serving import Log, Serve

CLOSED_BY_ITSELF = {
    "litestar": close_frame(4500, "Internal Server Error"),
    "quart": close_frame(1000),
}
"""How a framework closes that lets no error of a handler through to the server."""
DENIAL = {"starlette": 401, "fastapi": 401, "litestar": 403, "quart": 401, "channels": 403}


@pytest.fixture(params=list(DENIAL))
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def app(framework: str) -> Any:
    return getattr(apps, framework)()


async def test_text_and_binary_messages_come_back(serve: Serve, app: Any) -> None:
    async with serve(app) as server, await Peer.ask(server.address, "/echo") as peer:
        await peer.opened()
        for message in ("hé", "", "x" * 70_000):
            await peer.send(message)
            assert await peer.frame() == text_frame(message)
        for data in (b"\x00\xff", os.urandom(70_000)):
            await peer.send(data)
            assert await peer.frame() == Frame(BINARY, data)
        await peer.close(1001)
        assert await peer.frames() == [close_frame(1001)]
        await server.idle()


@pytest.mark.parametrize("framework", [name for name in DENIAL if name != "quart"], indirect=True)
async def test_what_came_with_the_close_is_answered_before_it(serve: Serve, app: Any) -> None:
    """Not in Quart: a task of its own receives there, and ends the handler at the disconnect."""
    async with serve(app) as server, await Peer.ask(server.address, "/echo") as peer:
        await peer.opened()
        await peer.write(b"".join(message_frame(str(number)) for number in range(5)) + frame(CLOSE, b"\x03\xe9"))
        assert await peer.frames() == [*(text_frame(str(number)) for number in range(5)), close_frame(1001)]
        await server.idle()


async def test_a_refusal_is_an_http_response(serve: Serve, app: Any, framework: str) -> None:
    async with serve(app) as server, await Peer.ask(server.address, "/denied") as peer:
        response = await peer.response()
        assert response.status == DENIAL[framework]
        body = await peer.rest()
        if framework in ("starlette", "fastapi"):
            assert body == b"no"
        await server.idle()


@pytest.mark.parametrize("path", ["/echo", "/listens", "/talks"])
@pytest.mark.parametrize("how", ["close", "close without a code", "vanish", "reset"])
async def test_a_disconnect_ends_the_app_without_noise(serve: Serve, app: Any, path: str, how: str) -> None:
    async with serve(app) as server:
        async with await Peer.ask(server.address, path) as peer:
            await peer.opened()
            if path == "/talks":
                await peer.frame()
            if how.startswith("close"):
                await peer.close(1001 if how == "close" else None)
                await peer.frames()
            else:
                getattr(peer, how)()
        await server.idle()


async def test_an_error_in_the_handler_is_1011_and_logged_once_unless_the_framework_takes_it(
    serve: Serve, app: Any, framework: str, log: Log
) -> None:
    async with serve(app) as server, await Peer.ask(server.address, "/fails") as peer:
        await peer.opened()
        assert await peer.frame() == CLOSED_BY_ITSELF.get(framework, close_frame(1011))
        await peer.close(1011)
        await server.idle()
        complaints = log.complaints()
        if framework in CLOSED_BY_ITSELF:
            assert complaints == []
        else:
            (complaint,) = complaints
            assert complaint.startswith("Exception in ASGI application\nTraceback")
            assert "TheAppsOwnError: oh" in complaint
