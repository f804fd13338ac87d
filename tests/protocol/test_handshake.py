from __future__ import annotations

import pytest

from roomcast.errors import HandshakeError, InvalidHeader, InvalidSubprotocol
from roomcast.protocol.handshake import Refusal, ServerHandshake, accept_value, denial_head, read_request
from roomcast.protocol.negotiation import DeflateOptions

HEADERS = [
    (b"host", b"example.org"),
    (b"upgrade", b"websocket"),
    (b"connection", b"keep-alive, Upgrade"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
    (b"origin", b"http://example.org"),
]


def changed(name: bytes, *values: bytes) -> list[tuple[bytes, bytes]]:
    return [header for header in HEADERS if header[0] != name] + [(name, value) for value in values]


def accepted(headers: list[tuple[bytes, bytes]] = HEADERS) -> ServerHandshake:
    handshake = read_request("GET", b"/chat?a=b", "1.1", headers)
    assert isinstance(handshake, ServerHandshake), handshake
    return handshake


def refused(headers: list[tuple[bytes, bytes]]) -> Refusal:
    refusal = read_request("GET", b"/chat", "1.1", headers)
    assert isinstance(refusal, Refusal)
    return refusal


def test_the_example_of_rfc_6455_is_accepted() -> None:
    handshake = accepted([*HEADERS, (b"sec-websocket-protocol", b"chat, superchat")])
    assert handshake.subprotocols == ("chat", "superchat")
    assert handshake.response(subprotocol="chat") == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"\r\n"
    )
    assert accept_value(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "headers",
    [
        changed(b"upgrade", b"WebSocket"),
        changed(b"upgrade", b"h2c, websocket"),
        changed(b"upgrade", b"h2c", b"websocket"),
        changed(b"connection", b"UPGRADE"),
        changed(b"connection", b"keep-alive", b"upgrade"),
        changed(b"sec-websocket-key", b" dGhlIHNhbXBsZSBub25jZQ== "),
        [*HEADERS, (b"content-length", b"0")],
    ],
)
def test_what_may_be_written_in_several_ways_is_accepted_in_all(headers: list[tuple[bytes, bytes]]) -> None:
    assert accepted(headers).key == b"dGhlIHNhbXBsZSBub25jZQ=="


def test_only_get_opens_a_websocket() -> None:
    refusal = read_request("POST", b"/chat", "1.1", HEADERS)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 405
    assert b"allow: GET\r\n" in refusal.response()


@pytest.mark.parametrize("version", ["1.0", "0.9", "", "x", "1.x", "²"])
def test_http_must_be_1_1_or_higher(version: str) -> None:
    refusal = read_request("GET", b"/chat", version, HEADERS)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400


@pytest.mark.parametrize("version", ["1.1", "2", "3.0"])
def test_higher_versions_of_http_are_accepted(version: str) -> None:
    assert isinstance(read_request("GET", b"/chat", version, HEADERS), ServerHandshake)


@pytest.mark.parametrize("target", [b"", b"chat", b"/a b", b"/a#b", b"/a\r\nx", b"*", b"http:///a", b"ftp://a/"])
def test_the_target_must_be_a_path_or_a_url(target: bytes) -> None:
    refusal = read_request("GET", target, "1.1", HEADERS)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400


@pytest.mark.parametrize("target", [b"/", b"/%C3%A4?x=%20", b"/\xc3\xa4", b"ws://example.org/chat", b"HTTP://a"])
def test_a_path_or_a_url_is_accepted(target: bytes) -> None:
    assert isinstance(read_request("GET", target, "1.1", HEADERS), ServerHandshake)


@pytest.mark.parametrize(
    "headers",
    [
        changed(b"host"),
        changed(b"host", b"a", b"b"),
        changed(b"host", b""),
        changed(b"connection"),
        changed(b"connection", b"keep-alive"),
        changed(b"connection", b"upgraded"),
        changed(b"sec-websocket-key"),
        changed(b"sec-websocket-key", b""),
        changed(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ=="),
        changed(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ"),
        changed(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25j"),
        changed(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZSBh"),
        changed(b"sec-websocket-key", b"!!!!!!!!!!!!!!!!!!!!!!=="),
        changed(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ= "),
        changed(b"sec-websocket-version", b"13", b"13"),
        changed(b"sec-websocket-version", b"8", b"13"),
        changed(b"sec-websocket-protocol", b""),
        changed(b"sec-websocket-protocol", b","),
        changed(b"sec-websocket-protocol", b"a b"),
        changed(b"sec-websocket-protocol", b"a, a"),
        changed(b"sec-websocket-protocol", b"a", b"b, a"),
        changed(b"sec-websocket-extensions", b""),
        changed(b"sec-websocket-extensions", b"a b"),
        changed(b"sec-websocket-extensions", b"permessage-deflate; \xff=1"),
        [*HEADERS, (b"content-length", b"5")],
        [*HEADERS, (b"content-length", b"0"), (b"content-length", b"1")],
        [*HEADERS, (b"transfer-encoding", b"chunked")],
    ],
)
def test_what_rfc_6455_does_not_allow_is_refused_with_400(headers: list[tuple[bytes, bytes]]) -> None:
    refusal = refused(headers)
    assert refusal.status == 400
    response = refusal.response()
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"connection: close\r\n" in response
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    assert body.decode("ascii").endswith(".\n")


@pytest.mark.parametrize("versions", [(), (b"8",), (b"",), (b"013",), (b"13, 8",)])
def test_another_version_is_refused_with_426_and_the_version_that_is_spoken(
    versions: tuple[bytes, ...],
) -> None:
    refusal = refused(changed(b"sec-websocket-version", *versions))
    assert refusal.status == 426
    assert b"sec-websocket-version: 13\r\n" in refusal.response()


@pytest.mark.parametrize("upgrade", [(), (b"h2c",), (b"websockets",)])
def test_a_request_for_something_else_is_refused_with_426(upgrade: tuple[bytes, ...]) -> None:
    refusal = refused(changed(b"upgrade", *upgrade))
    assert refusal.status == 426
    assert b"upgrade: websocket\r\n" in refusal.response()


def test_offers_may_come_in_several_headers() -> None:
    handshake = accepted(
        [
            *changed(b"sec-websocket-extensions", b"a", b"permessage-deflate; server_max_window_bits=10, b"),
            (b"sec-websocket-protocol", b"one"),
            (b"sec-websocket-protocol", b"two, three"),
        ]
    )
    assert handshake.subprotocols == ("one", "two", "three")
    agreement = handshake.accept_deflate(DeflateOptions())
    assert agreement is not None
    assert agreement.parameters.server_max_window_bits == 10
    assert b"\r\nSec-WebSocket-Extensions: permessage-deflate; " in handshake.response(deflate=agreement)


def test_a_client_that_offers_no_compression_gets_none() -> None:
    assert accepted().accept_deflate(DeflateOptions()) is None


def test_a_subprotocol_that_was_not_offered_is_not_chosen() -> None:
    with pytest.raises(InvalidSubprotocol, match="did not offer 'chat'; it offered: none"):
        accepted().response(subprotocol="chat")
    with pytest.raises(InvalidSubprotocol, match="it offered: one, two"):
        accepted(changed(b"sec-websocket-protocol", b"one, two")).response(subprotocol="One")


def test_further_headers_are_written() -> None:
    response = accepted().response(headers=[(b"Set-Cookie", b"a=b"), (b"x", b"\xe4")])
    assert response.endswith(b"Set-Cookie: a=b\r\nx: \xe4\r\n\r\n")


@pytest.mark.parametrize(
    "name", [b"Sec-WebSocket-Protocol", b"sec-websocket-accept", b"Upgrade", b"connection", b"Content-Length"]
)
def test_the_handshakes_own_headers_are_not_the_callers(name: bytes) -> None:
    with pytest.raises(InvalidHeader, match="own to write"):
        accepted().response(headers=[(name, b"x")])
    with pytest.raises(InvalidHeader, match="own to write"):
        accepted().response(server_headers=[(name, b"x")])


def test_the_servers_headers_stand_before_the_callers() -> None:
    response = accepted().response(headers=[(b"x-a", b"1")], server_headers=[(b"server", b"s"), (b"x-a", b"0")])
    assert response.endswith(b"\r\nserver: s\r\nx-a: 0\r\nx-a: 1\r\n\r\n")


def test_headers_cannot_be_smuggled_in() -> None:
    with pytest.raises(InvalidHeader, match="control character"):
        accepted().response(headers=[(b"x", b"a\r\nSet-Cookie: b")])


def test_a_denial_has_the_status_and_the_headers() -> None:
    assert denial_head(403, [(b"content-type", b"text/plain")]) == (
        b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n"
    )
    assert denial_head(499, [(b"Connection", b"keep-alive")]) == b"HTTP/1.1 499 \r\nConnection: keep-alive\r\n\r\n"


@pytest.mark.parametrize("status", [0, 101, 199, 600])
def test_a_denial_has_a_final_status(status: int) -> None:
    with pytest.raises(HandshakeError, match="200 to 599"):
        denial_head(status, [])
