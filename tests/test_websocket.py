from __future__ import annotations

import asyncio
import queue
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import (
    CloseCode,
    Disconnected,
    InvalidClose,
    InvalidHandshake,
    InvalidJSON,
    OutOfOrder,
    ReceiveTimeout,
    UnexpectedMessage,
    UnsupportedData,
    WebSocket,
)
from roomcast.sendable import MAX_REASON
from roomcast.testing import LiveServer, TestConnection, connect
from tests.rooms.peers import RawPeer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message, Receive, Scope, Send

DEADLINE = 5.0


class Server:
    """The server's side of one connection, as it goes wrong in tests: gives the events it is told to give."""

    def __init__(self, *events: Message, scope: dict[str, Any] | None = None, gone: bool = False) -> None:
        self.scope: Scope = {"type": "websocket", "path": "/", "headers": [], "extensions": {}} | (scope or {})
        self.events = deque(events)
        self.sent: list[Message] = []
        self.gone = gone
        self.complaint: Exception | None = None
        self.waits = asyncio.Event()
        self.more = asyncio.Event()

    async def receive(self) -> Message:
        while not self.events:
            self.more.clear()
            self.waits.set()
            await self.more.wait()
        return self.events.popleft()

    async def send(self, event: Message) -> None:
        if self.gone:
            raise OSError("gone")
        if self.complaint is not None:
            raise self.complaint
        self.sent.append(event)

    def give(self, event: Message) -> None:
        self.events.append(event)
        self.more.set()

    @property
    def ws(self) -> WebSocket:
        return WebSocket(self.scope, self.receive, self.send)


def text(data: str) -> Message:
    return {"type": "websocket.receive", "text": data}


CONNECT: Message = {"type": "websocket.connect"}
DISCONNECT: Message = {"type": "websocket.disconnect", "code": 1001, "reason": "bye"}


async def opened(*events: Message) -> tuple[WebSocket, Server]:
    server = Server(CONNECT, *events)
    ws = server.ws
    await ws.accept()
    return ws, server


def app(handler: Callable[[WebSocket], Awaitable[None]]) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(WebSocket(scope, receive, send))

    return application


async def after_accept(handler: Callable[[WebSocket], Awaitable[None]], **settings: Any) -> TestConnection:
    """A client of an app that accepts and then does what the handler does."""

    async def accepting(ws: WebSocket) -> None:
        await ws.accept()
        await handler(ws)

    return await connect(app(accepting), **settings).open()


# The request.


def test_a_scope_of_another_type_is_refused_with_its_type() -> None:
    server = Server()
    with pytest.raises(OutOfOrder, match="expected a scope of type 'websocket', but it is 'http'"):
        WebSocket({"type": "http"}, server.receive, server.send)
    with pytest.raises(OutOfOrder, match="but it is None"):
        WebSocket({}, server.receive, server.send)


async def test_the_request_is_seen_decoded() -> None:
    seen: list[WebSocket] = []

    async def look(ws: WebSocket) -> None:
        seen.append(ws)
        await ws.reject()

    await connect(
        app(look),
        "/caf%C3%A9/a%2Fb?room=%C3%BC%20x&room=y+z&empty=&flag",
        headers=[("Cookie", "a=1; b=two"), ("cookie", 'c="3"; a=4'), ("X-Twice", "1"), ("X-Twice", "2")],
        subprotocols=["v2", "v1"],
    ).open()
    ws = seen[0]
    assert ws.path == "/café/a/b"
    assert ws.query["room"] == "y z"
    assert ws.query.getlist("room") == ["ü x", "y z"]
    assert (ws.query["empty"], ws.query["flag"], ws.query.get("none")) == ("", "", None)
    assert ws.headers["HOST"] == "testserver"
    assert ws.headers.getlist("x-twice") == ["1", "2"]
    assert ws.cookies == {"a": "4", "b": "two", "c": "3"}
    assert ws.subprotocols == ["v2", "v1"]
    assert ws.client is not None
    assert (ws.client.host, ws.client.port) == ("127.0.0.1", 12345)


def test_what_a_server_may_leave_out_of_the_scope_is_empty() -> None:
    ws = Server().ws
    assert dict(ws.query) == {}
    assert ws.cookies == {}
    assert ws.client is None
    assert ws.subprotocols == []


def test_a_query_of_no_known_encoding_is_still_read() -> None:
    ws = Server(scope={"query_string": b"room=%ff&=x&&a=%zz"}).ws
    assert ws.query["room"] == "\N{REPLACEMENT CHARACTER}"
    assert ws.query["a"] == "%zz"


def test_the_state_is_the_scopes_and_is_made_where_there_is_none() -> None:
    state = {"db": object()}
    assert Server(scope={"state": state}).ws.state is state
    server = Server()
    server.ws.state["user"] = "ada"
    assert server.ws.state == {"user": "ada"}


def test_the_scope_and_callables_underneath_can_be_had() -> None:
    server = Server()
    assert server.ws.asgi == (server.scope, server.receive, server.send)


# accept


async def test_accept_answers_the_connect_with_what_the_protocol_asks_for() -> None:
    server = Server(CONNECT)
    ws = server.ws
    assert not ws.accepted
    await ws.accept()
    assert ws.accepted
    assert server.sent == [{"type": "websocket.accept", "subprotocol": None, "headers": []}]


async def test_accept_takes_a_subprotocol_that_was_offered() -> None:
    server = Server(CONNECT, scope={"subprotocols": ["v1", "v2"]})
    ws = server.ws
    await ws.accept(subprotocol="v2")
    assert ws.subprotocol == "v2"
    assert server.sent[0]["subprotocol"] == "v2"


@pytest.mark.parametrize(
    ("offered", "told"), [(["v1", "v2"], "the client offers 'v1', 'v2'"), ([], "the client offers none")]
)
async def test_a_subprotocol_that_was_not_offered_is_refused_and_another_can_be_taken(
    offered: list[str], told: str
) -> None:
    server = Server(CONNECT, scope={"subprotocols": offered})
    ws = server.ws
    with pytest.raises(InvalidHandshake, match=f"subprotocol 'v3' was not offered; {told}"):
        await ws.accept(subprotocol="v3")
    assert ws.subprotocol is None
    await ws.accept(subprotocol=offered[0] if offered else None)
    assert ws.accepted


@pytest.mark.parametrize(
    "headers",
    [{"X-One": "1", "x-two": "a\tb"}, [("X-One", "1"), ("x-two", "a\tb")], [["X-One", "1"], ["x-two", "a\tb"]]],
)
async def test_headers_are_taken_as_a_mapping_or_as_pairs(headers: Any) -> None:
    server = Server(CONNECT)
    await server.ws.accept(headers=headers)
    assert server.sent[0]["headers"] == [(b"x-one", b"1"), (b"x-two", b"a\tb")]


async def test_a_header_may_come_several_times() -> None:
    server = Server(CONNECT)
    await server.ws.accept(headers=iter([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))
    assert server.sent[0]["headers"] == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"x": "a\r\nx-injected: b"}, "only printable ASCII"),
        ({"x": "a\x00b"}, "only printable ASCII"),
        ({"x": "a\x7fb"}, "only printable ASCII"),
        ({"x": "é"}, "only printable ASCII"),
        ({"x\r\ny": "a"}, "only printable ASCII"),
        ({"ü": "a"}, "only printable ASCII"),
        ({"": "a"}, "no header name"),
        ({"x y": "a"}, "no header name"),
        ({"x:": "a"}, "no header name"),
        ({"Sec-WebSocket-Protocol": "v1"}, r"accept\(subprotocol=…\)"),
        ({"x": 1}, "both of them str, not .'x', 1"),
        ({b"x": b"1"}, "both of them str"),
        ([("x",)], "both of them str"),
        ([("x", "1", "2")], "both of them str"),
        ("xy", "both of them str, not 'x'"),
    ],
)
async def test_a_header_that_cannot_be_is_refused_before_anything_is_sent(headers: Any, told: str) -> None:
    server = Server(CONNECT)
    ws = server.ws
    with pytest.raises(InvalidHandshake, match=told):
        await ws.accept(headers=headers)
    assert server.sent == []
    await ws.accept()
    assert ws.accepted


async def test_accepting_twice_is_out_of_order() -> None:
    ws, server = await opened()
    with pytest.raises(OutOfOrder, match=r"accept\(\) does not fit here: the connection is open already"):
        await ws.accept()
    assert len(server.sent) == 1


async def test_a_client_that_has_gone_before_the_accept_is_disconnected() -> None:
    ws = Server(DISCONNECT).ws
    with pytest.raises(Disconnected) as caught:
        await ws.accept()
    assert (caught.value.code, caught.value.reason) == (1001, "bye")
    assert (ws.close_code, ws.close_reason) == (1001, "bye")


@pytest.mark.parametrize("call", ["accept", "reject"])
async def test_a_client_that_goes_during_the_answer_is_disconnected_for_good(call: str) -> None:
    ws = Server(CONNECT, gone=True).ws
    with pytest.raises(Disconnected) as caught:
        await getattr(ws, call)()
    assert caught.value.code == 1006
    assert isinstance(caught.value.__cause__, OSError)
    assert ws.close_code == 1006
    with pytest.raises(Disconnected):
        await ws.send("hi")
    with pytest.raises(Disconnected):
        await ws.receive()
    await ws.close()


@pytest.mark.parametrize("event", [text("early"), {"type": "lifespan.startup"}, {}])
async def test_a_server_that_does_not_begin_with_connect_is_told_what_was_expected(event: Message) -> None:
    with pytest.raises(OutOfOrder, match=r"expected 'websocket\.connect' first, but the server gave"):
        await Server(event).ws.accept()


async def test_a_connection_that_a_framework_accepted_is_open_from_the_start() -> None:
    server = Server(text("hi"))
    ws = WebSocket(server.scope, server.receive, server.send, accepted=True)
    assert ws.accepted
    assert await ws.receive() == "hi"


async def test_a_connection_that_is_marked_closed_while_it_is_accepted_stays_closed() -> None:
    server = Server()
    ws = server.ws
    accepting = asyncio.ensure_future(ws.accept())
    await server.waits.wait()
    ws.mark_closed(1012, "restart")
    server.give(CONNECT)
    with pytest.raises(Disconnected) as caught:
        await accepting
    assert (caught.value.code, caught.value.reason) == (1012, "restart")
    assert server.sent == []


async def test_a_connection_that_is_marked_closed_while_the_acceptance_is_sent_stays_closed() -> None:
    server = Server(CONNECT)

    async def send(event: Message) -> None:
        await server.send(event)
        ws.mark_closed(1012)

    ws = WebSocket(server.scope, server.receive, send)
    with pytest.raises(Disconnected):
        await ws.accept()
    assert not ws.accepted


# reject


async def test_a_rejection_is_an_http_response_where_the_server_can() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.reject(4001, "no token", status=401)

    client = await connect(app(handler)).open()
    assert not client.accepted
    assert client.denial_status == 401
    assert client.denial_body == b'{"code":4001,"reason":"no token"}'
    assert dict(client.response_headers) == {b"content-type": b"application/json", b"content-length": b"33"}
    await client.finished()


async def test_a_rejection_is_a_close_where_the_server_offers_no_response() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.reject(4001, "no token", status=401)

    client = await connect(app(handler), denial=False).open()
    assert (client.accepted, client.denial_status) == (False, None)
    assert (client.close_code, client.close_reason) == (4001, "no token")
    await client.finished()


@pytest.mark.parametrize("extensions", [{"tls": {}}, {}])
async def test_other_extensions_are_no_http_response(extensions: dict[str, Any]) -> None:
    server = Server(CONNECT, scope={"extensions": extensions})
    await server.ws.reject()
    assert server.sent == [{"type": "websocket.close", "code": 4003, "reason": ""}]


async def test_a_scope_without_extensions_can_be_rejected() -> None:
    server = Server(CONNECT)
    del server.scope["extensions"]
    await server.ws.reject()
    assert server.sent[0]["type"] == "websocket.close"


async def test_a_rejection_after_the_accept_is_seen_by_pages() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.reject(4001, "no token", after_accept=True)
        assert (ws.close_code, ws.close_reason) == (4001, "no token")

    client = await connect(app(handler)).open()
    assert client.accepted
    assert await client.closed() == 4001
    assert client.close_reason == "no token"
    await client.finished()


async def test_a_rejection_after_the_accept_takes_a_subprotocol_lest_a_browser_fail_the_handshake() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.reject(after_accept=True)

    client = await connect(app(handler), subprotocols=["v2", "v1"]).open()
    assert client.subprotocol == "v2"
    assert await client.closed() == CloseCode.FORBIDDEN


@pytest.mark.parametrize("status", [200, 399, 600, 101, -1, "403", 403.0, None])
async def test_a_status_that_refuses_nothing_is_no_rejection(status: Any) -> None:
    server = Server(CONNECT)
    ws = server.ws
    with pytest.raises(InvalidHandshake, match="does not refuse anything; use 400 to 599"):
        await ws.reject(status=status)
    await ws.reject(status=503)
    assert len(server.sent) == 1


@pytest.mark.parametrize("call", ["accept", "reject"])
async def test_a_rejected_connection_can_be_neither_accepted_nor_rejected(call: str) -> None:
    ws = Server(CONNECT).ws
    await ws.reject()
    with pytest.raises(OutOfOrder, match=rf"{call}\(\) does not fit here: the connection is rejected already"):
        await getattr(ws, call)()


async def test_an_open_connection_cannot_be_rejected() -> None:
    ws, _ = await opened()
    with pytest.raises(OutOfOrder, match="open already"):
        await ws.reject()


async def test_closing_what_is_rejected_does_nothing() -> None:
    server = Server(CONNECT)
    ws = server.ws
    await ws.reject(4001, "no")
    await ws.close()
    assert len(server.sent) == 1
    assert (ws.close_code, ws.close_reason) == (4001, "no")


async def test_rejecting_a_client_that_has_gone_is_disconnected() -> None:
    with pytest.raises(Disconnected):
        await Server(DISCONNECT).ws.reject()


# Calls before the accept, and after the end.


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("receive", ()),
        ("receive_text", ()),
        ("receive_bytes", ()),
        ("receive_json", ()),
        ("send", ("hi",)),
        ("send_json", ({},)),
        ("close", ()),
        ("__anext__", ()),
    ],
)
async def test_before_the_accept_every_other_call_says_what_to_call_first(call: str, arguments: Any) -> None:
    server = Server(CONNECT, text("hi"))
    with pytest.raises(
        OutOfOrder, match=r"does not fit here: the connection is not accepted yet: call accept\(\)"
    ):
        await getattr(server.ws, call)(*arguments)
    assert server.sent == []
    assert len(server.events) == 2


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("receive", ()),
        ("receive_json", ()),
        ("send", ("hi",)),
        ("send_json", ({},)),
        ("accept", ()),
        ("reject", ()),
    ],
)
async def test_after_the_disconnect_every_call_tells_its_code_and_reason(call: str, arguments: Any) -> None:
    ws, server = await opened(DISCONNECT)
    with pytest.raises(Disconnected):
        await ws.receive()
    with pytest.raises(Disconnected) as caught:
        await getattr(ws, call)(*arguments)
    assert (caught.value.code, caught.value.reason) == (1001, "bye")
    assert len(server.sent) == 1


# receive


async def test_text_is_received_as_str_and_binary_as_bytes() -> None:
    ws, _ = await opened(text("é"), {"type": "websocket.receive", "bytes": b"\x00\xff"})
    assert await ws.receive() == "é"
    assert await ws.receive() == b"\x00\xff"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"bytes": None, "text": ""}, ""),
        ({"bytes": b"", "text": None}, b""),
        ({"bytes": bytearray(b"x")}, b"x"),
        ({"bytes": memoryview(b"x"), "text": None}, b"x"),
        ({"text": "a", "unknown": 1}, "a"),
    ],
)
async def test_empty_messages_and_all_forms_that_servers_use_are_messages(event: Message, message: Any) -> None:
    ws, _ = await opened({"type": "websocket.receive", **event})
    received = await ws.receive()
    assert received == message
    assert type(received) is type(message)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "websocket.receive"},
        {"type": "websocket.receive", "text": None, "bytes": None},
        {"type": "websocket.receive", "text": 5},
        {"type": "websocket.connect"},
        {},
    ],
)
async def test_an_event_that_no_server_may_give_is_shown(event: Message) -> None:
    ws, _ = await opened(event)
    with pytest.raises(OutOfOrder, match=r"but the server gave \{"):
        await ws.receive()


@pytest.mark.parametrize(
    ("event", "code", "reason"),
    [
        ({"code": 4001, "reason": "no token"}, 4001, "no token"),
        ({"code": 1000, "reason": None}, 1000, ""),
        ({"code": 1000}, 1000, ""),
        ({}, 1005, ""),
        ({"code": None, "reason": None}, 1005, ""),
    ],
)
async def test_the_disconnect_tells_code_and_reason(event: Message, code: int, reason: str) -> None:
    ws, _ = await opened({"type": "websocket.disconnect", **event})
    with pytest.raises(Disconnected) as caught:
        await ws.receive()
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert (ws.close_code, ws.close_reason) == (code, reason)
    assert not ws.accepted


async def test_a_binary_message_where_text_was_asked_for_is_named_and_kept() -> None:
    ws, _ = await opened({"type": "websocket.receive", "bytes": b"abc"}, text("next"))
    with pytest.raises(
        UnexpectedMessage, match="expected a text message, but a binary message of 3 bytes"
    ) as caught:
        await ws.receive_text()
    assert caught.value.message == b"abc"
    assert await ws.receive_text() == "next"


async def test_text_where_binary_was_asked_for_is_named_and_kept() -> None:
    ws, _ = await opened(text("abc"), {"type": "websocket.receive", "bytes": b"next"})
    with pytest.raises(
        UnexpectedMessage, match="expected a binary message, but a text message of 3 char"
    ) as caught:
        await ws.receive_bytes()
    assert caught.value.message == "abc"
    assert await ws.receive_bytes() == b"next"


async def test_json_is_received_as_its_value() -> None:
    ws, _ = await opened(text('{"a":[1,null,"é"]}'))
    assert await ws.receive_json() == {"a": [1, None, "é"]}


@pytest.mark.parametrize("message", ["", "{", "NaN", "[" * 100_000])
async def test_what_is_not_json_is_named_and_kept_and_the_connection_goes_on(message: str) -> None:
    ws, _ = await opened(text(message), text("1"))
    with pytest.raises(InvalidJSON, match="expected JSON, but '") as caught:
        await ws.receive_json()
    assert caught.value.message == message
    assert await ws.receive_json() == 1


async def test_binary_where_json_was_asked_for_is_unexpected() -> None:
    ws, _ = await opened({"type": "websocket.receive", "bytes": b"{}"})
    with pytest.raises(UnexpectedMessage):
        await ws.receive_json()


# Deadlines


@pytest.mark.parametrize("call", ["receive", "receive_text", "receive_bytes", "receive_json"])
async def test_receiving_gives_up_at_its_deadline_and_the_connection_goes_on(call: str) -> None:
    ws, server = await opened()
    with pytest.raises(ReceiveTimeout, match=r"no message came within 0\.01 s"):
        await getattr(ws, call)(timeout=0.01)
    server.give(text("late"))
    assert await ws.receive(timeout=DEADLINE) == "late"


async def test_a_deadline_of_zero_takes_what_is_there() -> None:
    ws, _ = await opened(text("there"))
    assert await ws.receive(timeout=0) == "there"
    with pytest.raises(ReceiveTimeout):
        await ws.receive(timeout=0)


async def test_no_message_is_lost_between_deadlines() -> None:
    received: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        while len(received) < 200:
            try:
                received.append(await ws.receive(timeout=0.0005))
            except ReceiveTimeout:
                continue

    client = await after_accept(handler)
    for number in range(200):
        await client.send(str(number))
        if number % 7 == 0:
            await asyncio.sleep(0.0005)  # so that deadlines and messages meet
    await client.finished()
    assert received == [str(number) for number in range(200)]


async def test_a_deadline_outside_is_not_taken_for_the_one_of_receive() -> None:
    ws, _ = await opened()
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.01):
            await ws.receive(timeout=DEADLINE)
    assert not isinstance(caught.value, ReceiveTimeout)


async def test_a_cancellation_is_not_taken_for_the_deadline() -> None:
    ws, server = await opened()
    receiving = asyncio.ensure_future(ws.receive(timeout=DEADLINE))
    await server.waits.wait()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    server.give(text("still there"))
    assert await ws.receive() == "still there"


async def test_a_timeout_of_the_server_itself_is_not_taken_for_the_deadline() -> None:
    server = Server()

    async def receive() -> Message:
        raise TimeoutError("the server's own")

    ws = WebSocket(server.scope, receive, server.send, accepted=True)
    with pytest.raises(TimeoutError, match="the server's own") as caught:
        await ws.receive(timeout=DEADLINE)
    assert not isinstance(caught.value, ReceiveTimeout)


async def test_the_disconnect_comes_before_the_deadline() -> None:
    ws, _ = await opened(DISCONNECT)
    with pytest.raises(Disconnected):
        await ws.receive(timeout=DEADLINE)


# async for


async def test_iterating_gives_the_messages_and_ends_at_the_disconnect() -> None:
    ws, _ = await opened(text("one"), {"type": "websocket.receive", "bytes": b"two"}, DISCONNECT)
    assert [message async for message in ws] == ["one", b"two"]
    assert (ws.close_code, ws.close_reason) == (1001, "bye")


async def test_iterating_over_what_is_over_gives_nothing() -> None:
    ws, _ = await opened(DISCONNECT)
    assert [message async for message in ws] == []
    assert [message async for message in ws] == []


async def test_iterating_ends_where_this_side_closes() -> None:
    ws, _ = await opened(text("one"), text("two"))
    received = []
    async for message in ws:
        received.append(message)
        await ws.close(4000)
    assert received == ["one"]
    assert ws.close_code == 4000


async def test_an_error_in_the_loop_is_the_handlers() -> None:
    ws, _ = await opened(text("one"), text("two"))

    async def fail_at_a_message() -> None:
        async for _ in ws:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_at_a_message()
    assert await ws.receive() == "two"


# send


@pytest.mark.parametrize(
    ("data", "event"),
    [
        ("é", {"text": "é"}),
        ("", {"text": ""}),
        (b"\x00", {"bytes": b"\x00"}),
        (b"", {"bytes": b""}),
        (bytearray(b"x"), {"bytes": b"x"}),
        (memoryview(b"abcd")[::2], {"bytes": b"ac"}),
    ],
)
async def test_send_makes_text_of_str_and_binary_of_bytes_and_their_kin(data: Any, event: Message) -> None:
    ws, server = await opened()
    await ws.send(data)
    assert server.sent[1] == {"type": "websocket.send", **event}


@pytest.mark.parametrize(
    ("data", "kind"), [(None, "NoneType"), (5, "int"), ({"a": 1}, "dict"), (["a"], "list"), (object(), "object")]
)
async def test_send_says_what_it_takes_instead_of_what_it_got(data: Any, kind: str) -> None:
    ws, server = await opened()
    with pytest.raises(UnsupportedData, match=rf"send\(\) takes str or bytes, not {kind}; send_json\(\) takes"):
        await ws.send(data)
    assert len(server.sent) == 1


async def test_text_without_a_utf8_form_is_not_sent() -> None:
    ws, server = await opened()
    with pytest.raises(UnsupportedData, match="text must have a UTF-8 form"):
        await ws.send("\ud800")
    assert len(server.sent) == 1


async def test_json_is_sent_compactly_as_text() -> None:
    ws, server = await opened()
    await ws.send_json({"a": [1, "é"]})
    assert server.sent[1] == {"type": "websocket.send", "text": '{"a":[1,"é"]}'}


async def test_a_lone_surrogate_can_be_sent_within_json() -> None:
    ws, server = await opened()
    await ws.send_json(["\ud800"])
    assert server.sent[1]["text"] == '["\\ud800"]'


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize("value", [{1}, float("nan"), b"bytes", deep()], ids=["set", "nan", "bytes", "deep"])
async def test_what_json_cannot_carry_is_not_sent(value: Any) -> None:
    ws, server = await opened()
    with pytest.raises(UnsupportedData, match=r"send_json\(\) cannot write this as JSON: "):
        await ws.send_json(value)
    assert len(server.sent) == 1


async def test_sending_to_a_client_that_has_gone_is_disconnected_and_the_event_tells_the_code() -> None:
    ws, server = await opened()
    server.gone = True
    with pytest.raises(Disconnected) as caught:
        await ws.send("hi")
    assert caught.value.code == 1006
    assert ws.close_code is None
    server.give(DISCONNECT)
    with pytest.raises(Disconnected) as caught:
        await ws.receive()
    assert caught.value.code == 1001


AFTER_CLOSE = "Unexpected ASGI message 'websocket.send', after sending 'websocket.close'."
"""What uvicorn says where it has closed by itself, and the app has not."""


async def test_a_server_that_says_it_was_closed_before_is_disconnected() -> None:
    ws, server = await opened()
    server.complaint = RuntimeError(AFTER_CLOSE)
    with pytest.raises(Disconnected) as caught:
        await ws.send("hi")
    assert caught.value.__cause__ is server.complaint
    await ws.close()


async def test_any_other_complaint_of_the_server_is_shown_as_it_is() -> None:
    ws, server = await opened()
    server.complaint = RuntimeError("a broken middleware")
    with pytest.raises(RuntimeError, match="a broken middleware"):
        await ws.send("hi")


def test_sending_to_a_peer_that_broke_the_protocol_is_disconnected_on_a_real_server() -> None:
    ended: queue.Queue[BaseException] = queue.Queue()

    async def send_for_ever(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send("again")
                await asyncio.sleep(0)
        except (OSError, RuntimeError) as error:
            ended.put(error)

    with LiveServer(app(send_for_ever), lifespan="off") as server, RawPeer(server.port, "/") as peer:
        peer.send_raw(b"\xff\x80\x00\x00\x00\x00")
        assert isinstance(ended.get(timeout=DEADLINE), Disconnected)


async def test_messages_go_both_ways_through_one_connection() -> None:
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    client = await after_accept(echo)
    await client.send("é")
    await client.send(b"\x00")
    assert [await client.receive(), await client.receive()] == ["é", b"\x00"]
    await client.disconnect()


# close


async def test_close_sends_code_and_reason() -> None:
    ws, server = await opened()
    await ws.close(4001, "no token")
    assert server.sent[1] == {"type": "websocket.close", "code": 4001, "reason": "no token"}
    assert (ws.close_code, ws.close_reason) == (4001, "no token")
    assert not ws.accepted


async def test_a_close_code_by_name_goes_out_as_a_plain_number() -> None:
    ws, server = await opened()
    await ws.close(CloseCode.TOO_SLOW)
    assert type(server.sent[1]["code"]) is int
    assert type(ws.close_code) is int


async def test_closing_twice_closes_once_with_the_first_code() -> None:
    ws, server = await opened()
    await ws.close(4001)
    await ws.close(4002)
    assert len(server.sent) == 2
    assert ws.close_code == 4001


async def test_closing_what_the_peer_has_ended_does_nothing() -> None:
    ws, server = await opened(DISCONNECT)
    with pytest.raises(Disconnected):
        await ws.receive()
    await ws.close()
    assert len(server.sent) == 1
    assert ws.close_code == 1001


async def test_closing_to_a_client_that_has_just_gone_is_no_error() -> None:
    ws, server = await opened()
    server.gone = True
    await ws.close()


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2000, 5000, -1, True, "1000", 1000.0, None])
async def test_a_code_that_may_not_be_sent_is_refused_and_the_connection_goes_on(code: Any) -> None:
    ws, server = await opened()
    with pytest.raises(InvalidClose, match="may not be sent; use 1000, or one of your own from 4000 to 4999"):
        await ws.close(code)
    await ws.send("still open")
    assert len(server.sent) == 2


async def test_a_reason_of_123_bytes_is_sent_and_one_of_124_is_refused() -> None:
    ws, server = await opened()
    with pytest.raises(InvalidClose, match="at most 123 bytes of UTF-8, and this one 124"):
        await ws.close(4000, "é" * (MAX_REASON // 2 + 1))
    await ws.close(4000, "é" * (MAX_REASON // 2) + "x")
    assert len(server.sent[1]["reason"].encode()) == 123


@pytest.mark.parametrize(
    ("reason", "told"),
    [(None, "a close reason is a str, not NoneType"), (b"x", "not bytes"), ("\ud800", "must have a UTF-8 form")],
)
async def test_a_reason_that_no_frame_can_carry_is_refused(reason: Any, told: str) -> None:
    ws, server = await opened()
    with pytest.raises(InvalidClose, match=told):
        await ws.close(4000, reason)
    assert len(server.sent) == 1


@pytest.mark.parametrize(("code", "reason"), [(1006, ""), (4000, "x" * 124)])
async def test_a_rejection_is_held_to_the_same_rules_as_a_close(code: int, reason: str) -> None:
    server = Server(CONNECT)
    with pytest.raises(InvalidClose):
        await server.ws.reject(code, reason)
    assert server.sent == []
    assert len(server.events) == 1


async def test_sending_after_the_own_close_tells_the_own_code() -> None:
    ws, _ = await opened()
    await ws.close(4001, "no token")
    with pytest.raises(Disconnected, match=r"close code 4001 \(no token\)"):
        await ws.send("hi")


async def test_a_connection_marked_closed_is_over_without_a_word_to_the_server() -> None:
    ws, server = await opened(text("unread"))
    ws.mark_closed(4020, "too slow")
    assert (ws.close_code, ws.close_reason) == (4020, "too slow")
    with pytest.raises(Disconnected, match="4020"):
        await ws.receive()
    await ws.close()
    assert len(server.sent) == 1


@pytest.mark.parametrize("end", ["close", "reject"])
async def test_marking_what_is_over_as_closed_does_not_change_how_it_ended(end: str) -> None:
    ws = Server(CONNECT).ws
    if end == "close":
        await ws.accept()
    await getattr(ws, end)(4001, "no token")
    ws.mark_closed(1006)
    assert (ws.close_code, ws.close_reason) == (4001, "no token")


async def test_a_disconnect_after_the_own_close_does_not_change_how_it_ended() -> None:
    ws, server = await opened()
    receiving = asyncio.ensure_future(ws.receive())
    await server.waits.wait()
    await ws.close(4001, "no token")
    server.give({"type": "websocket.disconnect", "code": 1006})
    with pytest.raises(Disconnected, match=r"4001 \(no token\)"):
        await receiving
    assert (ws.close_code, ws.close_reason) == (4001, "no token")


async def test_one_task_receives_while_others_send() -> None:
    async def handler(ws: WebSocket) -> None:
        async def tell(number: int) -> None:
            await ws.send(str(number))

        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(ws.receive())
            for number in range(5):
                tasks.create_task(tell(number))
        await ws.send(receiving.result())

    client = await after_accept(handler)
    told = [await client.receive() for _ in range(5)]
    assert sorted(told) == ["0", "1", "2", "3", "4"]
    await client.send("done")
    assert await client.receive() == "done"
    await client.finished()
