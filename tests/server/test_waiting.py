"""Requests that do not come, dribble in, or are too long."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from roomcast.limits import Reason, counts
from tests.server.peer import Peer, request
from tests.server.serving import TIMEOUT, Calls, echo

if TYPE_CHECKING:
    from tests.server.serving import Serve

OURS = "roomcast.server.http:HTTPProtocol"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer HTTP, and echo."""
    if scope["type"] == "websocket":
        await echo(scope, receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_a_socket_on_which_nothing_comes_is_closed(serve: Serve) -> None:
    before = counts[Reason.REQUEST_TIMEOUT]
    async with serve(app, http=OURS, settings={"request_timeout": 0.2}) as server:
        async with await Peer.connect(server.address) as peer:
            assert await peer.rest() == b""
        await server.idle()
    assert counts[Reason.REQUEST_TIMEOUT] == before + 1


@pytest.mark.parametrize(
    "whole", [request(headers=[("X-Long", "x" * 3000)]), GET[:-2] + b"X-Long: " + b"x" * 3000]
)
async def test_a_request_that_dribbles_in_gets_408(serve: Serve, whole: bytes) -> None:
    async with serve(app, http=OURS, settings={"request_timeout": 0.3}) as server:
        async with await Peer.connect(server.address) as peer:
            response = asyncio.ensure_future(peer.response())
            sent = 0
            async with asyncio.timeout(TIMEOUT):
                while not response.done():
                    await peer.write(whole[sent : sent + 1])
                    sent += 1
                    await asyncio.wait([response], timeout=0.01)
            assert (await response).status == 408
        await server.idle()


async def test_a_second_request_that_dribbles_in_gets_408_too(serve: Serve) -> None:
    async with (
        serve(app, http=OURS, settings={"request_timeout": 0.3}, timeout_keep_alive=60) as server,
        await Peer.connect(server.address) as peer,
    ):
        await peer.write(GET)
        assert (await peer.response()).status == 200
        assert await peer.exactly(2) == b"ok"
        await peer.write(GET[:20])
        assert (await peer.response()).status == 408


async def test_between_requests_a_connection_waits_as_long_as_uvicorn_says(serve: Serve) -> None:
    async with (
        serve(app, http=OURS, settings={"request_timeout": 0.1}, timeout_keep_alive=60) as server,
        await Peer.connect(server.address) as peer,
    ):
        for _ in range(2):
            await peer.write(GET)
            assert (await peer.response()).status == 200
            assert await peer.exactly(2) == b"ok"
            await asyncio.sleep(0.3)


async def test_a_body_may_take_longer_than_a_request(serve: Serve) -> None:
    async with (
        serve(app, http=OURS, settings={"request_timeout": 0.1}) as server,
        await Peer.connect(server.address) as peer,
    ):
        await peer.write(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\na")
        await asyncio.sleep(0.3)
        await peer.write(b"bc")
        assert (await peer.response()).status == 200


async def test_of_too_many_that_wait_the_one_goes_that_has_waited_longest(serve: Serve) -> None:
    before = counts[Reason.WAITING]
    async with serve(app, http=OURS, settings={"max_waiting": 3}) as server:
        peers = [await Peer.connect(server.address) for _ in range(2)]
        await peers[1].write(GET[:5])
        peers += [await Peer.connect(server.address) for _ in range(3)]
        for peer in peers[:2]:
            assert await peer.rest() == b""
        for peer in peers[2:]:
            await peer.write(request())
            await peer.opened()
        for peer in peers:
            peer.vanish()
    assert counts[Reason.WAITING] == before + 2


async def test_a_flood_of_silent_sockets_keeps_nobody_out(serve: Serve) -> None:
    async with serve(app, http=OURS, settings={"max_waiting": 20}) as server:
        silent = [await Peer.connect(server.address) for _ in range(200)]
        async with await Peer.ask(server.address) as peer:
            await peer.opened()
            await peer.send("hello")
            frame = await peer.frame()
            assert frame is not None
            assert frame.payload == b"hello"
        assert len(server.sessions) <= 25
        for peer in silent:
            peer.vanish()


@pytest.mark.parametrize("http", ["httptools", OURS], ids=["httptools", "ours"])
@pytest.mark.parametrize(
    ("target", "headers"),
    [("/" + "x" * 9000, []), ("/", [("X-Long", "x" * 70_000)]), ("/", [("X", "x" * 100)] * 700)],
)
async def test_a_websocket_with_too_long_a_url_or_headers_is_refused(
    serve: Serve, http: str, target: str, headers: list[tuple[str, str]]
) -> None:
    before = counts[Reason.REQUEST_SIZE]
    async with serve(Calls(), http=http) as server:
        async with await Peer.ask(server.address, target, headers) as peer:
            response = await peer.response()
            assert response.status in {414, 431}
        assert server.app.count == 0
    assert counts[Reason.REQUEST_SIZE] == before + 1


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"], 414),
        ([b"GET /" + b"x" * 5000, b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"], 414),
        ([GET[:-2] + b"A: " + b"x" * 70_000 + b"\r\n\r\n"], 431),
        ([GET[:-2], *[b"A: " + b"x" * 1000 + b"\r\n"] * 100], 431),
    ],
)
async def test_plain_http_with_too_long_a_url_or_headers_is_refused(
    serve: Serve, pieces: list[bytes], status: int
) -> None:
    async with serve(app, http=OURS) as server:
        async with await Peer.connect(server.address) as peer:
            for piece in pieces:
                await peer.write(piece)
                await asyncio.sleep(0.001)
            assert (await peer.response()).status == status
        await server.idle()


@pytest.mark.parametrize("beginning", [b"GET /", GET[:-2] + b"X: ", GET[:-2] + b"X"], ids=["url", "value", "name"])
async def test_a_request_that_never_ends_does_not_fill_the_memory(serve: Serve, beginning: bytes) -> None:
    async with serve(app, http=OURS) as server, await Peer.connect(server.address) as peer:
        tracemalloc.start()
        try:
            with contextlib.suppress(OSError):
                await peer.write(beginning)
                for _ in range(2000):
                    await peer.write(b"x" * 10_000)
                    await asyncio.sleep(0)
                pytest.fail("all was taken")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4_000_000


async def test_what_bounds_requests_can_be_switched_off(serve: Serve) -> None:
    off = {"request_timeout": None, "max_waiting": None, "max_url_bytes": None, "max_header_bytes": None}
    async with serve(app, http=OURS, settings=off) as server:
        async with await Peer.connect(server.address) as peer:
            await peer.write(
                b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 200_000 + b"\r\n\r\n"
            )
            assert (await peer.response()).status == 200
        async with await Peer.ask(server.address, "/" + "x" * 20_000, [("A", "x" * 200_000)]) as peer:
            await peer.opened()
