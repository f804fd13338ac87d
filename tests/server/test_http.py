"""Our HTTP class under uvicorn: it hands WebSockets over as they came, and all else to uvicorn's class."""

from __future__ import annotations

import asyncio
import re
import signal
import ssl
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from websockets.asyncio.client import connect

from roomcast.errors import Disconnected
from roomcast.server import http as http_module
from roomcast.server.uvicorn import WebSocketProtocol
from tests.programs import Program
from tests.server.peer import Peer, close_frame, message_frame, request, text_frame, turn
from tests.server.serving import ACCEPT, Calls, echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server.serving import Call, Log, Serve

OURS = "roomcast.server.http:HTTPProtocol"


async def repeat(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a request with its path and its body, and a WebSocket with an echo."""
    if scope["type"] == "websocket":
        await echo(scope, receive, send)
        return
    body = scope["path"].encode() + b" "
    more = True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


class Unwanted:
    """An HTTP class that nobody should make."""

    def __init__(self, *_: Any) -> None:
        raise AssertionError("uvicorn's HTTP class was asked")


async def body_of(peer: Peer) -> bytes:
    response = await peer.response()
    assert response.status == 200
    return await peer.exactly(int(response["content-length"]))


async def test_uvicorn_loads_both_classes_by_the_names_that_the_readme_has(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^uvicorn app:app (.*)$", readme, re.MULTILINE)
    source = "from tests.server.test_http import repeat as app\n"
    (tmp_path / "app.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "uvicorn", "app:app", *line.split(), "--port", "0", "--lifespan", "off"]
    with Program(*command, cwd=tmp_path, env={"PYTHONPATH": str(Path(__file__).parents[2])}) as program:
        port = (await asyncio.to_thread(program.wait_for_line, r"running on http://127.0.0.1:(\d+)"))[1]
        async with await Peer.connect(("127.0.0.1", int(port))) as peer:
            await peer.write(request() + message_frame("x"))
            await peer.opened()
            assert await peer.frame() == text_frame("x")
        async with await Peer.connect(("127.0.0.1", int(port))) as peer:
            await peer.write(b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n")
            assert await body_of(peer) == b"/a "
        assert await asyncio.to_thread(program.terminate) in (0, -signal.SIGTERM)


async def test_plain_http_goes_through_it_and_the_connection_stays(serve: Serve) -> None:
    async with serve(repeat, http=OURS) as server, await Peer.connect(server.address) as peer:
        await peer.write(b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n")
        assert await body_of(peer) == b"/a "
        await peer.write(b"POST /b HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhe")
        await turn()
        await peer.write(b"llo")
        assert await body_of(peer) == b"/b hello"


async def test_requests_that_come_at_once_are_answered_in_order(serve: Serve) -> None:
    async with serve(repeat, http=OURS) as server, await Peer.connect(server.address) as peer:
        await peer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number for number in range(5)))
        assert [await body_of(peer) for _ in range(5)] == [b"/%d " % number for number in range(5)]


async def test_a_body_that_names_a_websocket_is_a_body(serve: Serve) -> None:
    async with serve(repeat, http=OURS) as server, await Peer.connect(server.address) as peer:
        body = request("/c")
        await peer.write(b"POST /b HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert await body_of(peer) == b"/b " + body


@pytest.mark.parametrize("at", [1, 20, -1, -4])
async def test_a_request_for_a_websocket_that_comes_in_two_pieces_opens_one(serve: Serve, at: int) -> None:
    async with serve(echo, http=OURS) as server, await Peer.connect(server.address) as peer:
        await peer.write(request()[:at])
        await turn()
        await peer.write(request()[at:])
        await peer.opened()
        await peer.send("x")
        assert await peer.frame() == text_frame("x")


async def test_a_whole_request_for_a_websocket_is_not_uvicorns_to_parse(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "BoundedRequests", Unwanted)
    async with serve(echo, http=OURS) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        await peer.send("x")
        assert await peer.frame() == text_frame("x")
        (session,) = server.sessions
        assert isinstance(session, WebSocketProtocol)


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "WEBSOCKET"])
@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "UPGRADE , close"])
async def test_headers_of_any_spelling_ask_for_a_websocket(serve: Serve, upgrade: str, connection: str) -> None:
    headers = [("upgrade", upgrade), ("CONNECTION", connection)]
    async with (
        serve(echo, http=OURS) as server,
        await Peer.ask(server.address, "/", headers, without=["Upgrade", "Connection"]) as peer,
    ):
        await peer.opened()


async def test_frames_that_come_with_the_request_reach_the_app(serve: Serve) -> None:
    async with serve(Calls(), http=OURS) as server, await Peer.connect(server.address) as peer:
        await peer.write(request() + message_frame("a") + message_frame(b"b")[:3])
        call = await server.call()
        await call.accept()
        await peer.opened()
        assert await call.receive() == {"type": "websocket.receive", "text": "a"}
        await peer.write(message_frame(b"b")[3:])
        assert await call.receive() == {"type": "websocket.receive", "bytes": b"b"}


async def test_too_much_that_comes_with_the_request_ends_the_connection(serve: Serve) -> None:
    async with serve(Calls(), http=OURS) as server, await Peer.connect(server.address) as peer:
        await peer.write(request() + bytes(70_000))
        assert await peer.rest() == b""


async def test_frames_behind_a_request_that_is_refused_are_read_by_nobody(serve: Serve) -> None:
    app = Calls()
    async with serve(app, http=OURS) as server, await Peer.connect(server.address) as peer:
        await peer.write(request(without=["Sec-WebSocket-Key"]) + message_frame("a"))
        assert (await peer.response()).status == 400
        await peer.rest()
        assert app.count == 0


@pytest.mark.parametrize("websockets", ["websockets-sansio", "wsproto"])
async def test_websockets_of_another_class_are_handed_to_uvicorns(serve: Serve, websockets: str) -> None:
    async with serve(echo, http=OURS, ws=websockets) as server, connect(server.url) as client:
        await client.send("é")
        assert await client.recv() == "é"


async def test_where_uvicorn_serves_no_websockets_a_request_for_one_is_plain_http(serve: Serve, log: Log) -> None:
    async with serve(repeat, http=OURS, ws="none") as server, await Peer.ask(server.address, "/a") as peer:
        assert await body_of(peer) == b"/a "
    log.complaints()  # uvicorn's own


async def test_over_tls_plain_http_goes_through_it_too(serve: Serve, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    files = {"ssl_certfile": str(tmp_path / "both.pem"), "ssl_keyfile": str(tmp_path / "both.pem")}
    async with serve(repeat, http=OURS, **files) as server, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*server.address, ssl=trusting, server_hostname="localhost")
        for number in range(3):
            writer.write(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(3) == b"/%d " % number
        writer.write(request())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.write(message_frame("x"))
        assert await reader.readexactly(3) == b"\x81\x01x"
        writer.close()
        await writer.wait_closed()


async def test_what_is_no_http_is_refused_as_uvicorn_does(serve: Serve, log: Log) -> None:
    async with serve(echo, http=OURS) as server, await Peer.connect(server.address) as peer:
        await peer.write(b"websocket\r\n\r\n")
        assert (await peer.response()).status == 400
        await peer.rest()
    assert log.complaints() == ["Invalid HTTP request received."]


async def test_a_connection_on_which_nothing_comes_does_not_hold_the_exit(serve: Serve) -> None:
    async with serve(echo, http=OURS) as server, await Peer.connect(server.address) as peer:
        async with asyncio.timeout(10):
            while not server.sessions:  # noqa: ASYNC110 - uvicorn tells nobody of its connections
                await asyncio.sleep(0.001)
        await server.stop()
        assert await peer.rest() == b""


@pytest.mark.parametrize("how", ["vanish", "reset", "shut"])
async def test_a_connection_that_ends_before_anything_comes_is_forgotten(serve: Serve, how: str) -> None:
    async with serve(echo, http=OURS) as server, await Peer.connect(server.address) as peer:
        async with asyncio.timeout(10):
            while not server.sessions:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        getattr(peer, how)()
        await server.idle()


@asynccontextmanager
async def asked_behind_an_unread_response(serve: Serve) -> AsyncIterator[tuple[Peer, Call]]:
    """Ask for a WebSocket on a connection on which 3 MB wait to be read, and play its app."""
    calls = Calls()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await calls(scope, receive, send)
            return
        headers = [(b"content-length", b"3000000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(3_000_000)})

    async with serve(app, http=OURS, send_buffer=16_384) as server:
        async with await Peer.connect(server.address, receive_buffer=4096) as peer:
            await peer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            assert (await peer.response()).status == 200
            await peer.write(request())
            call = await calls.next()
            await call.receive()
            yield peer, call
        calls.finish()


async def test_who_does_not_read_what_came_before_its_websocket_does_not_fill_the_memory(serve: Serve) -> None:
    async with asked_behind_an_unread_response(serve) as (peer, call):
        accepting = asyncio.ensure_future(call.raw_send(ACCEPT))
        await turn()
        waiting = call.outlet.queued_bytes
        sending = [asyncio.ensure_future(call.text(str(number) * 1000)) for number in range(3)]
        await turn()
        assert not accepting.done()
        assert not any(one.done() for one in sending)
        assert call.outlet.queued_bytes - waiting < 5000
        assert await peer.exactly(3_000_000) == bytes(3_000_000)
        await peer.opened()
        for number in range(3):
            assert await peer.frame() == text_frame(str(number) * 1000)
        await asyncio.gather(accepting, *sending)


async def test_who_is_closed_before_it_has_read_the_response_gets_it_all_the_same(serve: Serve) -> None:
    async with asked_behind_an_unread_response(serve) as (peer, call):
        accepting = asyncio.ensure_future(call.raw_send(ACCEPT))
        await turn()
        call.outlet.close(4003, "out")
        await peer.exactly(3_000_000)
        await peer.opened()
        assert await peer.frame() == close_frame(4003, "out")
        with pytest.raises(Disconnected, match="4003"):
            await accepting
