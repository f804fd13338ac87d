from __future__ import annotations

import httpx
import pytest
from websockets.sync.client import connect

from roomcast import BrokerUnavailable, WebSocket, websocket_app
from roomcast.testing import LiveServer
from roomcast.testing import connect as ask


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


@pytest.mark.parametrize("accepts", [False, True])
async def test_who_cannot_be_served_without_the_broker_is_to_come_later(accepts: bool) -> None:
    @websocket_app
    async def joins(ws: WebSocket) -> None:
        if accepts:
            await ws.accept()
        raise BrokerUnavailable("no answer")

    async with ask(joins) as client:
        if accepts:
            assert await client.closed() == 1013
        else:
            assert client.denial_status == 503
