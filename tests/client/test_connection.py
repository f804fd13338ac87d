"""The client against our own server, and against servers that answer whatever they like."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from roomcast import WebSocket, websocket_app
from roomcast.client import Address, Client, connect, tls_context
from roomcast.errors import (
    ConfigurationError,
    HandshakeFailed,
    HandshakeRefused,
    InvalidFrame,
    InvalidHeader,
    OutOfOrder,
    Unreachable,
)
from roomcast.protocol.events import Close, Event
from roomcast.protocol.negotiation import DeflateOptions
from roomcast.testing import LiveServer
from tests.client.scripted import opening, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 10.0


@websocket_app
async def app(ws: WebSocket) -> None:
    match ws.path:
        case "/refused":
            await ws.reject(4003, "not you", status=403)
        case "/closing":
            await ws.accept()
            await ws.close(4020, "too slow")
        case "/told":
            await ws.accept(subprotocol=ws.subprotocols[0] if ws.subprotocols else None)
            await ws.send(ws.headers.get("authorization", ""))
            async for _ in ws:
                pass
        case _:
            await ws.accept()
            async for message in ws:
                await ws.send(message)


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(app) as live:
        yield live


class Heard:
    """The events that a client has heard."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    def __call__(self, event: Event) -> None:
        self.events.put_nowait(event)

    async def next(self) -> Event:
        async with asyncio.timeout(DEADLINE):
            return await self.events.get()


async def opened(url: str, **more: Any) -> tuple[Client, Heard]:
    heard = Heard()
    return await connect(Address.parse(url), heard=heard, **more), heard


async def test_messages_go_and_come_in_order_and_as_they_are(server: LiveServer) -> None:
    client, heard = await opened(server.ws_url)
    messages: list[str | bytes] = ["héllo", b"\x00\xff", "", "x" * 100_000]
    for message in messages:
        client.send(message)
    await client.drain()
    assert [await heard.next() for _ in messages] == messages
    assert await client.close() == Close(1000, "")
    assert await client.close() == Close(1000, ""), "one that is over stays so"


async def test_what_comes_before_the_servers_close_frame_is_still_heard(server: LiveServer) -> None:
    client, heard = await opened(server.ws_url)
    for number in range(100):
        client.send(str(number))
    close = await client.close(1001, "bye")
    assert close == Close(1001, "bye")
    assert [heard.events.get_nowait() for _ in range(101)] == [*map(str, range(100)), close]


async def test_deflate_is_spoken_where_both_want_it(server: LiveServer) -> None:
    client, heard = await opened(server.ws_url, deflate=DeflateOptions())
    assert client.opened.deflate is not None
    client.send("again " * 1000)
    assert await heard.next() == "again " * 1000
    await client.close()


async def test_headers_and_subprotocols_reach_the_server(server: LiveServer) -> None:
    client, heard = await opened(
        f"{server.ws_url}/told", headers=[(b"Authorization", b"Bearer x")], subprotocols=["a", "b"]
    )
    assert client.opened.subprotocol == "a"
    assert await heard.next() == "Bearer x"
    await client.close()


async def test_the_servers_close_ends_it_with_its_code(server: LiveServer) -> None:
    client, heard = await opened(f"{server.ws_url}/closing")
    assert await heard.next() == Close(4020, "too slow")
    async with asyncio.timeout(DEADLINE):
        assert await client.closed == Close(4020, "too slow")
    assert not client.takes_more
    with pytest.raises(OutOfOrder):
        client.send("late")


async def test_a_refusal_has_its_status_its_headers_and_its_body(server: LiveServer) -> None:
    with pytest.raises(HandshakeRefused, match="HTTP status 403 Forbidden, where 101 was due") as caught:
        await opened(f"{server.ws_url}/refused")
    assert caught.value.status == 403
    assert b"not you" in caught.value.body
    assert dict(caught.value.headers)[b"content-type"] == b"application/json"


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy and more", b"busy and more"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 503 Busy\r\n\r\nuntil the end", b"until the end"),
        (
            b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n3;x=y\r\n!!!\r\n0\r\n\r\n",
            b"busy!!!",
        ),
        (b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbusy", b""),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 9999999\r\n\r\n" + bytes(1 << 17), bytes(64 << 10)),
    ],
    ids=["length", "empty", "to the end", "chunked", "bad chunks", "huge"],
)
async def test_a_body_ends_where_it_is_said_to(response: bytes, body: bytes) -> None:
    async with scripted(lambda _: response) as address:
        with pytest.raises(HandshakeRefused) as caught:
            await opened(str(address))
    assert caught.value.body == body


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what answers there does not speak HTTP: is it wss:// and not ws://?"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "does not speak HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "the response has no Upgrade: websocket"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "the response's head has over 64 KiB"),
    ],
    ids=["ssh", "tls", "no upgrade", "endless head"],
)
async def test_what_opens_no_websocket_says_why(response: bytes, problem: str) -> None:
    async with scripted(lambda _: response, closes=False) as address:
        with pytest.raises(HandshakeFailed, match=problem.replace("?", r"\?")):
            await opened(str(address))


async def test_a_server_that_breaks_the_protocol_is_left_and_it_is_told_why() -> None:
    async with scripted(lambda request: opening(request) + b"\x81\x02hi\xf0\x00", closes=False) as address:
        client, heard = await opened(str(address))
        assert await heard.next() == "hi"
        assert isinstance(await heard.next(), InvalidFrame)
        async with asyncio.timeout(DEADLINE):
            close = await client.closed
    assert close.code == 1002
    assert isinstance(client.failure, InvalidFrame)


async def test_a_connection_that_is_lost_ends_with_1006() -> None:
    async with scripted(opening) as address:
        client, heard = await opened(str(address))
        assert await heard.next() == Close(1006, "")
        assert await client.closed == Close(1006, "")


async def test_a_server_that_does_not_answer_the_close_frame_is_left_after_a_while() -> None:
    async with scripted(opening, closes=False) as address:
        client, _ = await opened(str(address))
        assert await client.close(timeout=0.05) == Close(1006, "")


async def test_an_answer_that_nobody_waits_for_any_more_is_not_taken() -> None:
    loop = asyncio.get_running_loop()
    troubles: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, trouble: troubles.append(trouble))
    gone = loop.create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(opening(request))
        loop.call_soon(connecting.cancel)  # in the turn in which the client reads the answer, and before that
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        gone.set_result(None)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connecting = asyncio.ensure_future(opened(f"ws://127.0.0.1:{port}/"))
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await gone
    assert troubles == []


@pytest.mark.parametrize("loses_it", [True, False], ids=["lost", "silent"])
async def test_a_server_that_gives_no_answer_is_unreachable(loses_it: bool) -> None:
    problem = "lost before there was an answer" if loses_it else "no answer from 127.0.0.1, port .* within 0.2 s"
    async with scripted(lambda _: b"", closes=loses_it) as address:
        with pytest.raises(Unreachable, match=problem):
            await opened(str(address), timeout=5.0 if loses_it else 0.2)


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(
        Unreachable, match=f"nothing listens on 127.0.0.1, port {port}: is the server running there"
    ):
        await opened(f"ws://127.0.0.1:{port}")
    with pytest.raises(Unreachable, match=r"there is no host 'nowhere.invalid'"):
        await opened("ws://nowhere.invalid")


async def test_a_header_that_cannot_be_is_told_before_anything_is_sent() -> None:
    with pytest.raises(InvalidHeader):
        await opened("ws://127.0.0.1:1", headers=[(b"X", b"a\r\nb")])


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


async def test_a_certificate_of_a_trusted_authority_is_taken(authority: trustme.CA) -> None:
    with authority.cert_pem.tempfile() as cafile:
        context = tls_context(cafile=cafile)
    tls = server_side(authority.issue_cert("127.0.0.1"))
    async with scripted(lambda request: opening(request) + b"\x81\x02hi", tls=tls) as address:
        client, heard = await opened(str(address), tls=context)
        assert await heard.next() == "hi"
        client.abort()


async def test_a_certificate_that_cannot_be_trusted_says_why(authority: trustme.CA) -> None:
    with authority.cert_pem.tempfile() as cafile:
        knows = tls_context(cafile=cafile)
    for name, context, problem in (
        ("127.0.0.1", tls_context(), "it is signed by an authority that this machine does not know"),
        ("example.org", knows, "it is not for 127.0.0.1"),
    ):
        async with scripted(opening, tls=server_side(authority.issue_cert(name))) as address:
            with pytest.raises(Unreachable, match=f"the certificate of 127.0.0.1 cannot be trusted: {problem}"):
                await opened(str(address), tls=context)
            client, _ = await opened(str(address), tls=tls_context(insecure=True))
            client.abort()


async def test_tls_where_there_is_none_is_told(server: LiveServer) -> None:
    with pytest.raises(Unreachable, match=r"127.0.0.1 does not speak TLS there: is it ws:// and not wss://"):
        await opened(server.ws_url.replace("ws", "wss"), tls=tls_context())


def test_a_file_without_certificates_is_refused(tmp_path: Any) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ConfigurationError, match="cannot be read: it has no certificate in PEM"):
        tls_context(cafile=str(tmp_path / "empty.pem"))
    with pytest.raises(ConfigurationError, match="cannot be read: No such file or directory"):
        tls_context(cafile=str(tmp_path / "missing.pem"))
