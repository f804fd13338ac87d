"""From the request to the answer (RFC 6455, section 4; ASGI: connect, accept, close, denial response)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from roomcast.errors import Disconnected, HandshakeError, InvalidEvent
from roomcast.protocol.prepared import PreparedMessage
from tests.protocol.wire import PING, frame
from tests.server.peer import Peer, close_frame, message_frame, opened, request, text_frame, turn
from tests.server.serving import ACCEPT, CONNECT, Calls, echo

if TYPE_CHECKING:
    from tests.server.serving import Call, Log, Serve, Serving


async def asked(server: Serving, *args: Any, **more: Any) -> tuple[Peer, Call]:
    peer = await Peer.ask(server.address, *args, **more)
    call = await server.call()
    assert await call.receive() == CONNECT
    return peer, call


async def test_connect_comes_first_and_nothing_is_answered_before_the_app_does(serve: Serve, http: str) -> None:
    async with serve(Calls(), http=http) as server:
        peer, call = await asked(server)
        async with peer:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer.socket, 1), 0.05)
            await call.send(ACCEPT)
            response = await peer.response()
            assert response.status == 101
            assert response["Upgrade"] == "websocket"
            assert response["Connection"] == "Upgrade"
            assert response["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
            assert "Sec-WebSocket-Protocol" not in response
            assert "Sec-WebSocket-Extensions" not in response


async def test_accept_without_receiving_the_connect_first_is_taken(serve: Serve) -> None:
    async with serve(Calls()) as server, await Peer.ask(server.address) as peer:
        call = await server.call()
        await call.send(ACCEPT)
        await peer.opened()
        assert await call.receive() == CONNECT
        await peer.send("x")
        assert await call.receive() == {"type": "websocket.receive", "text": "x"}


async def test_accept_gives_subprotocol_and_headers_and_uvicorns_own_headers(serve: Serve) -> None:
    async with serve(Calls(), headers=[("x-proxy", "p")]) as server:
        peer, call = await asked(server, "/", [("Sec-WebSocket-Protocol", "a, b")])
        async with peer:
            cookies = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")]
            await call.send(ACCEPT | {"subprotocol": "b", "headers": cookies, "unknown": 1})
            response = await peer.response()
            assert response["Sec-WebSocket-Protocol"] == "b"
            assert [value for name, value in response.headers if name.lower() == "set-cookie"] == ["a=1", "b=2"]
            assert (response["server"], response["x-proxy"]) == ("uvicorn", "p")
            assert "date" in response


async def test_uvicorns_headers_can_be_turned_off(serve: Serve) -> None:
    async with serve(Calls(), server_header=False, date_header=False) as server:
        peer, call = await asked(server)
        async with peer:
            await call.send(ACCEPT)
            response = await peer.response()
            assert "server" not in response
            assert "date" not in response


@pytest.mark.parametrize(
    ("event", "error", "words"),
    [
        ({"subprotocol": "c"}, HandshakeError, "'c'"),
        ({"subprotocol": 7}, InvalidEvent, "subprotocol"),
        ({"headers": [(b"sec-websocket-protocol", b"a")]}, HandshakeError, "sec-websocket-protocol"),
        ({"headers": [("x", "y")]}, InvalidEvent, "pairs of bytes"),
        ({"headers": [(b"x", b"y", b"z")]}, InvalidEvent, "pairs of bytes"),
        ({"headers": 7}, InvalidEvent, "pairs of bytes"),
        ({"headers": [(b"x", b"y\r\nz: 1")]}, HandshakeError, "control character"),
    ],
)
async def test_an_accept_that_cannot_be_given_raises_and_a_right_one_may_follow(
    serve: Serve, event: dict[str, Any], error: type[Exception], words: str
) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server, "/", [("Sec-WebSocket-Protocol", "a, b")])
        async with peer:
            with pytest.raises(error, match=words):
                await call.send(ACCEPT | event)
            await call.send(ACCEPT | {"subprotocol": "a"})
            assert (await peer.response())["Sec-WebSocket-Protocol"] == "a"


async def test_the_access_log_has_a_line_for_each_outcome(serve: Serve, http: str, log: Log) -> None:
    async with serve(Calls(), http=http) as server:
        peer, call = await asked(server, "/a%20b?c=d")
        async with peer:
            await call.send(ACCEPT)
            await peer.response()
            host, port = peer.socket.getsockname()
            await peer.send("tick")
            await peer.close(3000, "done")
            await peer.frames()
        call.finish()
        await server.idle()
        (line,) = log.infos()
        assert re.fullmatch(
            rf"{host}:{port} - \"WebSocket /a%20b\" closed 3000 'done' after \d\.\d s: "
            r"1 messages and 22 bytes in, 0 and 8 out",
            line,
        )
        peer, call = await asked(server, "/no")
        async with peer:
            await call.send({"type": "websocket.close"})
            await peer.response()
            assert any(line.endswith('"WebSocket /no" 403') for line in log.infos())
        peer, call = await asked(server, "/denied")
        async with peer:
            await call.send({"type": "websocket.http.response.start", "status": 401})
            await call.send({"type": "websocket.http.response.body"})
            await peer.response()
            assert any(line.endswith('"WebSocket /denied" 401') for line in log.infos())
        async with await Peer.ask(server.address, "/bad", without=["Sec-WebSocket-Key"]) as peer:
            await peer.response()
            assert any(line.endswith('"WebSocket /bad" 400') for line in log.infos())


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"type": "websocket.http.response.start"}, InvalidEvent),
        ({"type": "websocket.http.response.start", "status": "401"}, InvalidEvent),
        ({"type": "websocket.http.response.start", "status": 101}, HandshakeError),
        ({"type": "websocket.http.response.start", "status": 401, "headers": [(b"a b", b"")]}, HandshakeError),
        ({"type": "websocket.http.response.body"}, InvalidEvent),
        ({"type": "websocket.send", "text": "x"}, InvalidEvent),
        ({"type": "websocket.bogus"}, InvalidEvent),
        ({}, InvalidEvent),
    ],
)
async def test_before_the_answer_what_does_not_fit_raises_and_names_event_and_state(
    serve: Serve, event: dict[str, Any], error: type[Exception]
) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        async with peer:
            with pytest.raises(error) as raised:
                await call.send(event)
            if error is InvalidEvent and "status" not in str(raised.value):
                assert repr(event.get("type")) in str(raised.value)
                assert "the handshake is not answered" in str(raised.value)
            await call.send(ACCEPT)
            await peer.opened()


async def test_a_request_for_something_else_is_plain_http(serve: Serve, http: str, log: Log) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with serve(app, http=http) as server, await Peer.connect(server.address) as peer:
        await peer.write(request(without=["Upgrade"]))
        assert (await peer.response()).status == 200
    log.complaints()  # uvicorn's own, of a Connection header without an Upgrade


async def test_an_app_that_does_not_answer_in_time_is_answered_for_with_503(serve: Serve, log: Log) -> None:
    async with serve(Calls(), settings={"handshake_timeout": 0.05}) as server:
        peer, call = await asked(server)
        async with peer:
            assert (await peer.response()).status == 503
            assert b"did not answer in time" in await peer.rest()
            assert await call.disconnected() == (1006, "")
            with pytest.raises(Disconnected):
                await call.send(ACCEPT)
            (complaint,) = log.complaints()
            assert "did not answer a handshake within 0.05 s" in complaint


async def test_a_denial_that_does_not_end_in_time_is_ended(serve: Serve, log: Log) -> None:
    async with serve(Calls(), settings={"handshake_timeout": 0.05}) as server:
        peer, call = await asked(server)
        async with peer:
            await call.send({"type": "websocket.http.response.start", "status": 401})
            await call.send({"type": "websocket.http.response.body", "body": b"x", "more_body": True})
            assert (await peer.response()).status == 401
            assert await peer.rest() == b"x"
            with pytest.raises(Disconnected):
                await call.send({"type": "websocket.http.response.body", "body": b"y"})
            assert len(log.complaints()) == 1


async def test_frames_sent_before_the_answer_are_read_after_it(serve: Serve, http: str) -> None:
    async with serve(Calls(), http=http) as server:
        peer, call = await asked(server)
        async with peer:
            await peer.write(message_frame("a") + message_frame(b"b")[:3])
            await peer.write(message_frame(b"b")[3:] + frame(PING, b"p"))
            await turn()
            await call.send(ACCEPT)
            await peer.opened()
            assert await call.receive() == {"type": "websocket.receive", "text": "a"}
            assert await call.receive() == {"type": "websocket.receive", "bytes": b"b"}
            pong = await peer.frame()
            assert pong is not None
            assert pong.payload == b"p"


async def test_a_close_sent_before_the_answer_is_answered_after_it(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        async with peer:
            await peer.write(message_frame("a"))
            await peer.close(3001, "x")
            await turn()
            await call.send(ACCEPT)
            await peer.opened()
            assert await call.receive() == {"type": "websocket.receive", "text": "a"}
            await call.text("b")
            assert await call.disconnected() == (3001, "x")
            assert await peer.frames() == [text_frame("b"), close_frame(3001, "x")]


async def test_an_early_close_alone_tells_the_app_of_the_disconnect(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        async with peer:
            await peer.close(3001)
            await turn()
            await call.send(ACCEPT)
            await peer.opened()
            assert await peer.frames() == [close_frame(3001)]
            with pytest.raises(Disconnected):
                await call.text("x")
            assert await call.disconnected() == (3001, "")


async def test_too_much_before_the_answer_ends_the_connection(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        async with peer:
            await peer.write(b"x" * 70_000)
            assert await peer.rest() == b""
            assert await call.disconnected() == (1006, "")


@pytest.mark.parametrize("how", ["vanish", "reset"])
async def test_a_peer_that_goes_during_the_opening_is_a_disconnect(serve: Serve, how: str) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        getattr(peer, how)()
        assert await call.disconnected() == (1006, "")
        assert await call.disconnected() == (1006, "")
        with pytest.raises(OSError, match="1006") as raised:
            await call.send(ACCEPT)
        call.fail(raised.value)


async def test_an_app_that_raises_before_the_answer_is_a_500_logged_once(serve: Serve, log: Log) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        async with peer:
            call.fail(ValueError("the app's own"))
            assert (await peer.response()).status == 500
            await peer.rest()
            (complaint,) = log.complaints()
            assert "Traceback" in complaint
            assert "the app's own" in complaint


async def test_an_app_that_returns_before_the_answer_is_a_500(serve: Serve, log: Log) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        async with peer:
            call.finish()
            assert (await peer.response()).status == 500
            assert log.complaints() == ["ASGI callable returned without answering the handshake."]


async def test_a_client_that_is_refused_hurts_no_other(serve: Serve) -> None:
    async with serve(echo) as server, await Peer.ask(server.address) as good:
        await good.opened()
        async with await Peer.ask(server.address, without=["Sec-WebSocket-Key"]) as bad:
            assert (await bad.response()).status == 400
        await good.send("x")
        assert await good.frame() == text_frame("x")


async def test_the_peer_may_cut_its_request_anywhere(serve: Serve, http: str) -> None:
    async with serve(Calls(), http=http) as server, await Peer.connect(server.address) as peer:
        for byte in request("/x", [("X-A", "b")]):
            await peer.write(bytes([byte]))
            await asyncio.sleep(0)
        call = await server.call()
        await call.accept()
        await peer.opened()
        assert call.scope["path"] == "/x"


async def test_a_websocket_may_follow_a_plain_request_on_the_same_connection(serve: Serve, http: str) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await echo(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with serve(app, http=http) as server, await Peer.connect(server.address) as peer:
        await peer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert (await peer.response()).status == 200
        await peer.write(request())
        await peer.opened()
        await peer.send("x")
        assert await peer.frame() == text_frame("x")


async def test_the_outlet_in_the_scope_takes_messages_only_while_it_is_open(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await asked(server)
        async with peer:
            assert not call.outlet.offer(PreparedMessage("too early"))
            assert not call.outlet.closed
            await call.send(ACCEPT)
            assert call.outlet.offer(PreparedMessage("in time"))
        await call.disconnected()
        assert call.outlet.closed
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        peer.vanish()
        assert await call.disconnected() == (1006, "")
