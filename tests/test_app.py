from __future__ import annotations

import httpx
from websockets.sync.client import connect

from roomcast import WebSocket, websocket_app
from roomcast.testing import LiveServer


@websocket_app
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        await ws.send(message)


def test_a_handler_becomes_an_app_that_a_server_runs() -> None:
    with LiveServer(echo) as server, connect(server.ws_url, proxy=None) as client:
        client.send("hi")
        assert client.recv(timeout=5) == "hi"


def test_over_http_it_says_that_there_is_a_websocket() -> None:
    with LiveServer(echo) as server:
        answer = httpx.get(server.url)
    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"
    assert "WebSocket" in answer.text
