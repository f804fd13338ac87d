from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.sync.client import connect as connect_over_network

from roomcast import WebSocket
from roomcast.testing import LiveServer, connect, lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send


def app(handler: Callable[[WebSocket], Awaitable[None]]) -> ASGIApp:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(WebSocket(scope, receive, send))

    return application


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        await ws.send(message)


def endless(cancelled: asyncio.Event) -> ASGIApp:
    """An app that answers nothing, and tells when it is cancelled."""

    async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    return application


# A connection without a network.


async def test_messages_go_to_the_app_and_come_back() -> None:
    async with connect(app(echo)) as client:
        await client.send("é")
        await client.send(b"\x00")
        assert [await client.receive(), await client.receive()] == ["é", b"\x00"]
        await client.send_json({"a": [1]})
        assert await client.receive_json() == {"a": [1]}


async def test_the_scope_is_what_a_server_would_make_of_the_request() -> None:
    client = connect(
        app(echo), "/caf%C3%A9?a=%20&b=é", headers=[("X-Mixed", "Case")], subprotocols=["v1"], denial=False
    )
    assert client.scope["path"] == "/café"
    assert client.scope["query_string"] == b"a=%20&b=%C3%A9"
    assert (b"x-mixed", b"Case") in client.scope["headers"]
    assert client.scope["subprotocols"] == ["v1"]
    assert client.scope["extensions"] == {}
    async with client:
        assert client.accepted


async def test_the_answer_to_the_handshake_is_seen() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept("v1", [("x-a", "1")])

    client = await connect(app(handler), subprotocols=["v1"]).open()
    assert client.accepted
    assert client.subprotocol == "v1"
    assert client.response_headers == [(b"x-a", b"1")]


async def test_a_refusal_in_several_parts_is_put_together() -> None:
    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-a", b"1")]})
        await send({"type": "websocket.http.response.body", "body": b"no ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"token"})

    client = await connect(application).open()
    assert not client.accepted
    assert (client.denial_status, client.denial_body) == (401, b"no token")
    assert client.response_headers == [(b"x-a", b"1")]


async def test_leaving_the_block_disconnects_and_waits_for_the_app() -> None:
    ended: list[int | None] = []

    async def handler(ws: WebSocket) -> None:
        await echo(ws)
        ended.append(ws.close_code)

    async with connect(app(handler)):
        pass
    assert ended == [1005]


async def test_a_disconnect_carries_code_and_reason() -> None:
    seen: list[WebSocket] = []

    async def handler(ws: WebSocket) -> None:
        seen.append(ws)
        await echo(ws)

    client = await connect(app(handler)).open()
    await client.disconnect(4000, "bye")
    assert (seen[0].close_code, seen[0].close_reason) == (4000, "bye")
    await client.disconnect()


async def test_a_close_of_the_app_is_seen_behind_the_messages_before_it() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send("one")
        await ws.close(4001, "no token")

    client = await connect(app(handler)).open()
    assert await client.closed() == 4001
    assert client.close_reason == "no token"
    assert await client.closed() == 4001


async def test_receiving_where_the_app_closes_says_so() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4001, "no token")

    client = await connect(app(handler)).open()
    with pytest.raises(ConnectionError, match="the app closed: 4001 no token"):
        await client.receive()
    assert client.close_code == 4001


async def test_receiving_where_the_app_has_returned_says_so_each_time() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send("last")

    client = await connect(app(handler)).open()
    assert await client.receive() == "last"
    for _ in range(2):
        with pytest.raises(ConnectionError, match="the app returned"):
            await client.receive()
    with pytest.raises(AssertionError, match="returned without a close"):
        await client.closed()
    assert await client.receives_nothing()


async def test_what_the_app_raises_comes_out_wherever_it_is_waited_for() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise ZeroDivisionError

    for wait in ("receive", "closed", "finished", "disconnect"):
        client = await connect(app(handler)).open()
        with pytest.raises(ZeroDivisionError):
            await getattr(client, wait)()


async def test_what_the_app_raises_before_its_answer_comes_out_of_open() -> None:
    async def handler(_ws: WebSocket) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await connect(app(handler)).open()


async def test_an_app_that_returns_without_an_answer_is_told_on() -> None:
    async def handler(_ws: WebSocket) -> None:
        return

    with pytest.raises(AssertionError, match="without an answer to the handshake"):
        await connect(app(handler)).open()


async def test_an_app_that_sends_before_its_answer_is_told_on_and_ended() -> None:
    cancelled = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.send", "text": "early"})
        await endless(cancelled)(scope, receive, send)

    with pytest.raises(AssertionError, match=r"the app sent 'websocket\.send' before an answer to the handshake"):
        await connect(application).open()
    assert cancelled.is_set()


async def test_an_app_that_never_answers_is_ended_at_the_deadline() -> None:
    cancelled = asyncio.Event()
    with pytest.raises(TimeoutError, match=r"waited 0\.01 s for an answer to the handshake of the app"):
        await connect(endless(cancelled), timeout=0.01).open()
    assert cancelled.is_set()


async def test_waiting_for_a_message_has_a_deadline() -> None:
    client = await connect(app(echo), timeout=0.01).open()
    with pytest.raises(TimeoutError, match=r"waited 0\.01 s for a message of the app, and none came"):
        await client.receive()
    await client.disconnect()


async def test_an_error_in_the_block_ends_the_app_before_it_goes_on() -> None:
    left = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        try:
            await echo(ws)
        finally:
            left.set()

    with pytest.raises(ZeroDivisionError):
        async with connect(app(handler)):
            raise ZeroDivisionError
    assert left.is_set()


async def test_receives_nothing_tells_whether_a_message_is_there() -> None:
    async with connect(app(echo)) as client:
        assert await client.receives_nothing()
        await client.send("hi")
        assert not await client.receives_nothing()
        assert await client.receive() == "hi"
        assert await client.receives_nothing()


async def test_a_stalled_client_takes_nothing_until_it_disconnects_and_then_raises() -> None:
    outcome: list[str] = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        try:
            await ws.send("hi")
        except OSError:
            outcome.append("gone")
        else:
            outcome.append("taken")

    client = await connect(app(handler)).open()
    client.stall()
    await client.send("go")
    assert await client.receives_nothing()
    assert outcome == []
    await client.disconnect()
    assert outcome == ["gone"]


async def test_a_client_that_resumes_gets_what_waited() -> None:
    async with connect(app(echo)) as client:
        client.stall()
        await client.send("one")
        assert await client.receives_nothing()
        client.resume()
        assert await client.receive() == "one"


# The lifespan.


async def test_the_lifespan_is_around_the_block() -> None:
    told: list[str] = []

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            kind = (await receive())["type"]
            told.append(kind)
            await send({"type": f"{kind}.complete"})

    async with lifespan(application):
        assert told == ["lifespan.startup"]
    assert told == ["lifespan.startup", "lifespan.shutdown"]


async def test_a_startup_that_fails_is_raised_and_leaves_no_task() -> None:
    @contextlib.asynccontextmanager
    async def failing(_app: object) -> AsyncIterator[None]:
        raise ZeroDivisionError("no database")
        yield

    with pytest.raises(RuntimeError, match="no database"):
        async with lifespan(Starlette(lifespan=failing)):
            pytest.fail("it has not started")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_app_without_a_lifespan_raises_what_it_raises() -> None:
    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        raise NotImplementedError(scope["type"])

    with pytest.raises(NotImplementedError, match="lifespan"):
        async with lifespan(application):
            pytest.fail("it has not started")


async def test_an_app_that_does_not_answer_the_startup_is_ended_at_the_deadline() -> None:
    cancelled = asyncio.Event()
    with pytest.raises(RuntimeError, match=r"no answer to lifespan\.startup"):
        async with lifespan(endless(cancelled), timeout=0.01):
            pytest.fail("it has not started")
    assert cancelled.is_set()


async def test_a_shutdown_that_fails_is_raised() -> None:
    @contextlib.asynccontextmanager
    async def failing(_app: object) -> AsyncIterator[None]:
        yield
        raise ZeroDivisionError("a stuck database")

    with pytest.raises(RuntimeError, match="a stuck database"):
        async with lifespan(Starlette(lifespan=failing)):
            pass


# A real server.


async def hello(_request: object) -> PlainTextResponse:
    return PlainTextResponse("hello")


def test_a_live_server_serves_http_until_the_block_ends() -> None:
    with LiveServer(Starlette(routes=[Route("/", hello)])) as server, urlopen(server.url + "/") as response:
        assert response.read() == b"hello"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()


def test_a_live_server_serves_websockets() -> None:
    with (
        LiveServer(app(echo), lifespan="off") as server,
        connect_over_network(server.ws_url) as client,
    ):
        client.send("hi")
        assert client.recv(timeout=5) == "hi"


def test_two_live_servers_have_ports_of_their_own() -> None:
    with LiveServer(app(echo), lifespan="off") as one, LiveServer(app(echo), lifespan="off") as other:
        assert one.port != other.port


def test_a_live_server_whose_app_does_not_start_says_so_and_leaves_no_thread() -> None:
    @contextlib.asynccontextmanager
    async def failing(_app: object) -> AsyncIterator[None]:
        raise ZeroDivisionError("no database")
        yield

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="the app did not start"), LiveServer(Starlette(lifespan=failing)):
        pytest.fail("it has not started")
    assert threading.active_count() == before


def test_a_live_server_stops_although_a_client_stays() -> None:
    with LiveServer(app(echo), lifespan="off") as server:
        client = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    client.close()
