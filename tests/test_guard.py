"""Guard: who is refused, and how, on our server, on another one, and under frameworks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi import WebSocket as FastAPIWebSocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed, InvalidStatus

from roomcast import Guard, Limits, Origins, WebSocket, websocket_app
from roomcast.limits import Reason, counts
from roomcast.testing import LiveServer, connect

if TYPE_CHECKING:
    from starlette.types import ASGIApp

SERVERS = pytest.mark.parametrize(
    "ws", ["roomcast.server.uvicorn:WebSocketProtocol", "websockets-sansio"], ids=["ours", "websockets"]
)


@websocket_app
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        await ws.send(message)


async def fastapi_echo(websocket: FastAPIWebSocket) -> None:
    await websocket.accept()
    async for message in websocket.iter_text():
        await websocket.send_text(message)


def under_starlette(**settings: Any) -> ASGIApp:
    app = Starlette(routes=[WebSocketRoute("/", fastapi_echo)])
    app.add_middleware(Guard, **settings)
    return app


def under_fastapi(**settings: Any) -> ASGIApp:
    app = FastAPI()
    app.add_middleware(Guard, **settings)
    app.websocket("/")(fastapi_echo)
    return app


def around_an_app(**settings: Any) -> ASGIApp:
    return Guard(echo, **settings)


APPS = pytest.mark.parametrize("guarded", [around_an_app, under_starlette, under_fastapi])


@APPS
async def test_a_page_of_another_origin_is_refused_with_403(guarded: Any) -> None:
    app = guarded(origins=Origins("https://app.example.org"))
    before = counts[Reason.ORIGIN]
    async with connect(app, headers=[("origin", "https://evil.example")]) as client:
        assert client.denial_status == 403
        assert json.loads(client.denial_body) == {"code": 4003, "reason": "pages of this origin may not connect"}
    assert counts[Reason.ORIGIN] == before + 1
    for origin in ([], [("origin", "http://testserver")], [("origin", "https://app.example.org")]):
        async with connect(app, headers=origin) as client:
            await client.send("hi")
            assert await client.receive() == "hi"


@APPS
async def test_one_connection_too_many_is_refused_with_503_or_429(guarded: Any) -> None:
    for limits, status, code in (
        (Limits(max_connections=1), 503, 1013),
        (Limits(max_connections_per_address=1), 429, 4029),
        (Limits(handshakes_per_second=0.1), 429, 4029),
    ):
        app = guarded(limits=limits)
        async with connect(app):
            async with connect(app) as second:
                assert second.denial_status == status
                assert json.loads(second.denial_body)["code"] == code
                assert int(dict(second.response_headers)[b"retry-after"]) >= 1
            async with connect(app, headers=[("origin", "http://testserver")], subprotocols=["a"]) as page:
                assert page.accepted, "or a page could not see why"
                assert page.subprotocol == "a"
                assert await page.closed() == code


async def test_where_a_server_has_no_denials_a_refusal_is_a_close() -> None:
    async with (
        connect(Guard(echo, limits=Limits(max_connections=1))),
        connect(Guard(echo), headers=[("origin", "null")], denial=False) as client,
    ):
        assert client.close_code == 4003


async def test_whoever_leaves_makes_room_however_the_app_ends() -> None:
    class Broken(Exception):
        pass

    async def broken(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        raise Broken

    app = Guard(broken, limits=Limits(max_connections=1))
    for _ in range(3):
        with pytest.raises(Broken):
            await connect(app).open()
    app = Guard(echo, limits=Limits(max_connections=1))
    for _ in range(3):
        async with connect(app) as client:
            assert client.accepted


async def test_http_and_the_lifespan_pass_through() -> None:
    seen = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    guard = Guard(app, limits=Limits(max_connections=1))
    for kind in ("http", "lifespan", "http"):
        await guard({"type": kind}, None, None)  # type: ignore[arg-type]
    assert seen == ["http", "lifespan", "http"]


async def flooded(url: str) -> tuple[list[str], int, str]:
    """Flood a server until it ends the connection; give what it sent, and how it ended."""
    heard = []
    warned = asyncio.Event()

    async def flood() -> None:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(12):
                await client.send("x")
            await warned.wait()
            for _ in range(20):
                await client.send("x")

    async with asyncio.timeout(10), dial(url, proxy=None) as client:
        flooding = asyncio.ensure_future(flood())
        with contextlib.suppress(ConnectionClosed):
            while True:
                heard.append(str(await client.recv()))
                if heard[-1] == "slow down":
                    warned.set()
        await flooding
    assert client.close_code is not None
    return heard, client.close_code, client.close_reason or ""


@SERVERS
@APPS
async def test_a_flood_is_warned_about_then_closed_with_4029(ws: str, guarded: Any) -> None:
    before = counts.copy()
    limits = Limits(messages_per_second=10, warning="slow down")
    with LiveServer(guarded(limits=limits), ws=ws, lifespan="off", log_level="critical") as server:
        heard, code, reason = await flooded(server.ws_url)
        assert (code, reason) == (4029, "too many messages or bytes in a second")
        assert heard.count("slow down") == 1
        async with dial(server.ws_url, proxy=None) as client:
            await client.send("after")
            assert await client.recv() == "after"
    assert counts[Reason.RATE] == before[Reason.RATE] + 1
    assert counts[Reason.RATE_WARNING] == before[Reason.RATE_WARNING] + 1


@SERVERS
async def test_bytes_are_counted_and_not_characters(ws: str) -> None:
    app = Guard(echo, limits=Limits(messages_per_second=None, bytes_per_second=1000, warning="slow down"))
    with LiveServer(app, ws=ws, lifespan="off") as server:
        async with asyncio.timeout(10), dial(server.ws_url, proxy=None, compression=None) as client:
            sent = ("x" * 3000, "🙂" * 300)  # of which each has 4 bytes: 4,200 in all, and a bucket has 4,000
            for text in sent:
                await client.send(text)
            assert {await client.recv() for _ in range(3)} == {*sent, "slow down"}


@SERVERS
async def test_a_limit_that_is_off_lets_all_through(ws: str) -> None:
    with LiveServer(Guard(echo, limits=Limits.none()), ws=ws, lifespan="off") as server:
        async with asyncio.timeout(20):
            clients = [await dial(server.ws_url, proxy=None) for _ in range(250)]
            for client in clients:
                await client.close()
            async with dial(server.ws_url, proxy=None) as client:
                for _ in range(2000):
                    await client.send("x")
                    await client.recv()


@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.9"])
async def test_an_address_is_taken_from_a_trusted_proxy_only(trusted: str) -> None:
    """Whoever comes by no proxy that is trusted has the address of its socket, whatever it says."""
    app = Guard(echo, limits=Limits(max_connections_per_address=1))
    with LiveServer(app, lifespan="off", forwarded_allow_ips=trusted) as server:
        first = dial(server.ws_url, proxy=None, additional_headers={"x-forwarded-for": "198.51.100.1"})
        second = dial(server.ws_url, proxy=None, additional_headers={"x-forwarded-for": "198.51.100.2"})
        async with first:
            if trusted == "127.0.0.1":
                async with second as client:
                    await client.send("hi")
                    assert await client.recv() == "hi"
            else:
                with pytest.raises(InvalidStatus) as refusal:
                    await second
                assert refusal.value.response.status_code == 429
                assert refusal.value.response.headers["retry-after"] == "10"
                assert refusal.value.response.headers["content-type"] == "application/json"


async def test_pages_are_told_of_a_refusal_only_so_many_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else whoever writes an Origin header would hold as many sockets as there may not be."""
    monkeypatch.setattr("roomcast.guard.TOLD", 2)
    app = Guard(echo, limits=Limits(max_connections=1))
    page = [("origin", "http://testserver")]
    async with connect(app):
        for _ in range(2):
            async with connect(app, headers=page) as client:
                assert await client.closed() == 1013
        for _ in range(2):
            async with connect(app, headers=page) as client:
                assert client.denial_status == 503
        monkeypatch.setattr("roomcast.guard.TOLD_SECONDS", 0)
        async with connect(app, headers=page) as client:
            assert await client.closed() == 1013


@pytest.mark.parametrize(
    "evil", ["a\r\nset-cookie: x=1", "a\nb", "a\x00b", "a\x1b[31mb", "\u202eb", "1.2.3.4\x85\x9bb"]
)
async def test_nothing_that_is_sent_can_write_a_header_or_a_line_of_the_log(
    evil: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Split neither the response nor the log, whatever the path, the query or the subprotocol of a request is."""
    with LiveServer(Guard(echo), lifespan="off", log_level="info", log_config=None) as server:
        for target in (f"/{evil}", f"/?x={evil}"):
            response = await raw(server.port, target, "a")
            assert "set-cookie" not in response.lower()
            assert "\x00" not in response
        for name in ("Sec-WebSocket-Protocol", "Origin", "X-Forwarded-For", "X"):
            response = await raw(server.port, "/", "a", {name: evil})
            assert "set-cookie" not in response.lower()
        escaped = evil.replace("\r", "%0D").replace("\n", "%0A").replace("\x00", "%00").replace("\x1b", "%1B")
        assert (await raw(server.port, f"/{escaped}?{escaped}", "a")).startswith("HTTP/1.1")
    for record in caplog.records:
        message = record.getMessage()
        assert not any(character in message for character in "\r\n\x00\x1b\x85\x9b\u202e"), message


async def raw(port: int, target: str, subprotocol: str, headers: dict[str, str] | None = None) -> str:
    """Ask for a WebSocket with what no client library would send, and give the head of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = {
        "Host": "a",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": subprotocol,
    } | (headers or {})
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    async with asyncio.timeout(10):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            head = error.partial
        writer.close()
        await writer.wait_closed()
    return head.decode("latin-1")
