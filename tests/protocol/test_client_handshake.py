from __future__ import annotations

from typing import Any

import pytest

from roomcast.errors import HandshakeFailed, InvalidHeader
from roomcast.protocol.client_handshake import ClientHandshake
from roomcast.protocol.deflate import DeflateParameters
from roomcast.protocol.handshake import ServerHandshake, read_request
from roomcast.protocol.negotiation import DeflateOptions


def answered(handshake: ClientHandshake) -> ServerHandshake:
    """Read a request as a server would."""
    line, *lines = handshake.request()[:-4].split(b"\r\n")
    method, target, version = line.split(b" ")
    headers = []
    for header in lines:
        name, _, value = header.partition(b": ")
        headers.append((name.lower(), value))
    server = read_request(method.decode(), target, version[5:].decode(), headers)
    assert isinstance(server, ServerHandshake), server
    return server


def test_both_sides_come_to_the_same() -> None:
    client = ClientHandshake(
        b"example.org:8000",
        b"/chat?a=b",
        subprotocols=["one", "two"],
        deflate=DeflateOptions(),
        headers=[(b"x", b"y")],
    )
    server = answered(client)
    assert server.subprotocols == ("one", "two")
    agreement = server.accept_deflate(DeflateOptions())
    opened = client.read_response(server.response(subprotocol="two", deflate=agreement, headers=[(b"A", b"b")]))
    assert opened.subprotocol == "two"
    assert opened.deflate == DeflateParameters()
    assert (b"a", b"b") in opened.headers


def test_nothing_need_be_offered() -> None:
    client = ClientHandshake(b"example.org")
    opened = client.read_response(answered(client).response())
    assert (opened.subprotocol, opened.deflate) == (None, None)


def test_every_request_has_a_key_of_its_own() -> None:
    assert ClientHandshake(b"a").request() != ClientHandshake(b"a").request()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"101 Switching Protocols", b"200 OK"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"HTTP/1.1", b"ICY"),
        (b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"Upgrade: websocket\r\n", b""),
        (b"Connection: Upgrade", b"Connection: close"),
        (b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: A"),
        (b"Sec-WebSocket-Accept", b"X"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: two\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: one\r\nSec-WebSocket-Protocol: one\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: ;\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nbad header\r\n\r\n"),
        (b"\r\n\r\n", b"\r\n"),
    ],
)
def test_a_response_that_does_not_open_what_was_asked_for_is_refused(old: bytes, new: bytes) -> None:
    client = ClientHandshake(b"example.org", subprotocols=["one"])
    response = answered(client).response()
    client.read_response(response)
    with pytest.raises(HandshakeFailed):
        client.read_response(response.replace(old, new))


def test_the_status_of_a_refusal_is_told() -> None:
    with pytest.raises(HandshakeFailed, match="status 403") as failed:
        ClientHandshake(b"a").read_response(b"HTTP/1.1 403 Forbidden\r\nA: b\r\n\r\n")
    assert failed.value.status == 403


def test_more_than_was_offered_of_deflate_is_refused() -> None:
    client = ClientHandshake(b"example.org", deflate=DeflateOptions(server_max_window_bits=10))
    response = answered(client).response()
    with pytest.raises(HandshakeFailed, match="larger window"):
        client.read_response(response[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")


@pytest.mark.parametrize(
    "arguments",
    [
        {"host": b"a\r\nb: c"},
        {"host": b"a", "target": b"a"},
        {"host": b"a", "target": b"/a b"},
        {"host": b"a", "target": b"/a#b"},
        {"host": b"a", "subprotocols": ["a b"]},
        {"host": b"a", "subprotocols": ["a", "a"]},
        {"host": b"a", "headers": [(b"a", b"\n")]},
    ],
)
def test_a_request_that_http_does_not_allow_is_not_built(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidHeader):
        ClientHandshake(**arguments)
