"""Handshakes that open nothing: refused by the app, with a denial response, or by the server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from roomcast.errors import InvalidEvent
from tests.server.peer import Peer
from tests.server.serving import ACCEPT, CONNECT, Calls

if TYPE_CHECKING:
    from tests.server.serving import Call, Log, Serve, Serving


async def asked(server: Serving, *args: Any, **more: Any) -> tuple[Peer, Call]:
    peer = await Peer.ask(server.address, *args, **more)
    call = await server.call()
    assert await call.receive() == CONNECT
    return peer, call


async def test_close_before_the_accept_is_a_403(serve: Serve, http: str) -> None:
    async with serve(Calls(), http=http) as server:
        peer, call = await asked(server)
        async with peer:
            await call.send({"type": "websocket.close", "code": 4001, "reason": "no"})
            response = await peer.response()
            assert response.status == 403
            assert response["connection"] == "close"
            assert "date" in response
            body = await peer.rest()
            assert len(body) == int(response["content-length"])
            assert await call.disconnected() == (1006, "")


async def test_a_denial_has_the_apps_status_headers_and_streamed_body(serve: Serve, http: str) -> None:
    async with serve(Calls(), http=http) as server:
        peer, call = await asked(server)
        async with peer:
            headers = [(b"WWW-Authenticate", b"Bearer"), (b"x-a", b"1"), (b"x-a", b"2")]
            await call.send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
            await call.send({"type": "websocket.http.response.body", "body": b"one ", "more_body": True})
            response = await peer.response()
            assert response.status == 401
            assert response["www-authenticate"] == "Bearer"
            assert response["server"] == "uvicorn"
            assert await peer.drain(4) == b"one "
            await call.send({"type": "websocket.http.response.body", "body": b"two ", "more_body": True})
            await call.send({"type": "websocket.http.response.body", "body": b"three"})
            assert await peer.rest() == b"two three"
            for event in ({"type": "websocket.send", "text": "x"}, ACCEPT, {"type": "websocket.close"}):
                with pytest.raises(InvalidEvent, match=event["type"]):
                    await call.send(event)
            assert await call.disconnected() == (1006, "")


async def test_a_large_denial_is_written_as_the_client_reads_it(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server, receive_buffer=4096)
        async with peer:
            await call.send({"type": "websocket.http.response.start", "status": 404})
            body = b"x" * 3_000_000
            sending = asyncio.ensure_future(call.send({"type": "websocket.http.response.body", "body": body}))
            assert (await peer.response()).status == 404
            assert await peer.rest() == body
            await sending


@pytest.mark.parametrize(
    "event",
    [
        {"type": "websocket.accept"},
        {"type": "websocket.close"},
        {"type": "websocket.send", "text": "x"},
        {"type": "websocket.http.response.start", "status": 500},
    ],
)
async def test_within_a_denial_nothing_but_its_body_fits(serve: Serve, event: dict[str, Any]) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        async with peer:
            await call.send({"type": "websocket.http.response.start", "status": 401})
            with pytest.raises(InvalidEvent, match=rf"{event['type']}.*refused"):
                await call.send(event)
            await call.send({"type": "websocket.http.response.body", "body": b"x"})
            assert (await peer.response()).status == 401


@pytest.mark.parametrize("body", ["x", None, 7])
async def test_a_denials_body_that_is_not_bytes_raises(serve: Serve, body: Any) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        async with peer:
            await call.send({"type": "websocket.http.response.start", "status": 401})
            with pytest.raises(InvalidEvent, match="body"):
                await call.send({"type": "websocket.http.response.body", "body": body})


@pytest.mark.parametrize(
    ("without", "more", "options", "status"),
    [
        (["Sec-WebSocket-Key"], [], {}, 400),
        (["Sec-WebSocket-Key"], [("Sec-WebSocket-Key", "short")], {}, 400),
        ([], [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")], {}, 400),
        (["Sec-WebSocket-Version"], [], {}, 426),
        (["Sec-WebSocket-Version"], [("Sec-WebSocket-Version", "8")], {}, 426),
        ([], [("Sec-WebSocket-Protocol", "a b")], {}, 400),
        ([], [("Sec-WebSocket-Protocol", "a, a")], {}, 400),
        ([], [("Sec-WebSocket-Extensions", "a b")], {}, 400),
        ([], [("Content-Length", "3")], {}, 400),
        ([], [], {"method": "POST"}, 405),
    ],
)
async def test_a_bad_handshake_is_refused_in_short_words_and_no_app_is_asked(
    serve: Serve, http: str, without: list[str], more: list[tuple[str, str]], options: dict[str, Any], status: int
) -> None:
    app = Calls()
    async with (
        serve(app, http=http) as server,
        await Peer.ask(server.address, "/", more, without=without, **options) as peer,
    ):
        response = await peer.response()
        assert response.status == status
        assert "date" in response
        body = await peer.rest()
        assert len(body) == int(response["content-length"]) < 120
        assert app.count == 0
        if status == 426:
            assert response["Upgrade"] == "websocket"
        if status == 405:
            assert response["Allow"] == "GET"


async def test_a_request_that_is_no_http_is_refused_and_logged(serve: Serve, http: str, log: Log) -> None:
    async with (
        serve(Calls(), http=http) as server,
        await Peer.ask(server.address, "/", [("X-A", "a\x7f")]) as peer,
    ):
        assert (await peer.response()).status == 400
        await peer.rest()
    assert log.complaints() == ["Invalid HTTP request received."]


async def test_a_denial_without_a_body_when_the_app_raises_is_a_500(serve: Serve, log: Log) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        async with peer:
            await call.send({"type": "websocket.http.response.start", "status": 401})
            call.fail(ValueError("the app's own"))
            assert (await peer.response()).status == 500
            assert len(log.complaints()) == 1
            assert [line for line in log.infos() if line.endswith("401")] == []
