"""What the app is told of a connection (ASGI, WebSocket connection scope)."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from websockets.asyncio.client import connect

from tests.server.peer import Peer, opened
from tests.server.serving import ACCEPT, Calls, protocol_with

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.serving import Call, Log, Serve, Serving


async def called(server: Serving, *args: Any, **more: Any) -> tuple[Peer, Call]:
    peer = await Peer.ask(server.address, *args, **more)
    return peer, await server.call()


async def test_scope_has_every_field_of_asgi_2_5(serve: Serve, http: str) -> None:
    async with serve(Calls(), http=http) as server:
        peer, call = await called(server, "/rooms/a?b=c&d=%20")
        async with peer:
            scope = dict(call.scope)
            scope["asgi"] = dict(scope["asgi"])
            assert scope.pop("extensions")["websocket.http.response"] == {}
            assert scope.pop("headers") == [
                (b"host", b"test"),
                (b"upgrade", b"websocket"),
                (b"connection", b"Upgrade"),
                (b"sec-websocket-version", b"13"),
                (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            ]
            assert scope == {
                "type": "websocket",
                "asgi": {"version": "3.0", "spec_version": "2.5"},
                "http_version": "1.1",
                "scheme": "ws",
                "path": "/rooms/a",
                "raw_path": b"/rooms/a",
                "query_string": b"b=c&d=%20",
                "root_path": "",
                "client": peer.socket.getsockname(),
                "server": server.address,
                "subprotocols": [],
                "state": {},
            }


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/", "/", b"/", b""),
        ("/?", "/", b"/", b""),
        ("/a%20b%2Fc?x=%2F", "/a b/c", b"/a%20b%2Fc", b"x=%2F"),
        ("/caf%C3%A9", "/café", b"/caf%C3%A9", b""),
        ("/%FF", "/�", b"/%FF", b""),
        ("/a?b?c", "/a", b"/a", b"b?c"),
        ("//a//b", "//a//b", b"//a//b", b""),
        ("http://other/a%20b?c", "/a b", b"/a%20b", b"c"),
        ("ws://other?c", "/", b"/", b"c"),
    ],
)
async def test_path_is_decoded_and_raw_path_is_as_it_came(
    serve: Serve, http: str, target: str, path: str, raw_path: bytes, query: bytes
) -> None:
    async with serve(Calls(), http=http) as server:
        peer, call = await called(server, target)
        async with peer:
            scope = call.scope
            assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


async def test_root_path_stands_before_the_path(serve: Serve, http: str) -> None:
    async with serve(Calls(), http=http, root_path="/root") as server:
        peer, call = await called(server, "/a%20b")
        async with peer:
            scope = call.scope
            assert (scope["root_path"], scope["path"]) == ("/root", "/root/a b")
            assert scope["raw_path"] == b"/root/a%20b"


async def test_headers_keep_order_and_duplicates_and_have_lower_case_names(serve: Serve, http: str) -> None:
    given = [("X-One", "1"), ("Cookie", "a=b"), ("x-one", "2"), ("COOKIE", "c=d"), ("X-Latin", "\xe9 ")]
    async with serve(Calls(), http=http) as server:
        peer, call = await called(server, "/", given)
        async with peer:
            assert call.scope["headers"][-5:] == [
                (b"x-one", b"1"),
                (b"cookie", b"a=b"),
                (b"x-one", b"2"),
                (b"cookie", b"c=d"),
                (b"x-latin", b"\xe9"),
            ]


async def test_subprotocols_come_in_the_clients_order(serve: Serve, http: str) -> None:
    given = [("Sec-WebSocket-Protocol", "b, a"), ("Sec-WebSocket-Protocol", "c")]
    async with serve(Calls(), http=http) as server:
        peer, call = await called(server, "/", given)
        async with peer:
            assert call.scope["subprotocols"] == ["b", "a", "c"]


async def test_each_connection_gets_a_shallow_copy_of_the_lifespans_state(serve: Serve) -> None:
    shared: list[int] = []

    class App(Calls):
        async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                scope["state"] |= {"shared": shared, "own": 1}
                await receive()
                await send({"type": "lifespan.startup.complete"})
                return
            await super().__call__(scope, receive, send)

    async with serve(App(), lifespan="on") as server:
        first_peer, first = await called(server)
        second_peer, second = await called(server)
        async with first_peer, second_peer:
            first.scope["state"]["own"] = 2
            assert second.scope["state"] == {"shared": shared, "own": 1}
            assert first.scope["state"]["shared"] is second.scope["state"]["shared"]


async def test_behind_a_unix_socket_there_is_no_client(serve: Serve, http: str, tmp_path: Path, log: Log) -> None:
    path = str(tmp_path / "socket")
    async with serve(Calls(), http=http, uds=path) as server:
        peer, call = await opened(server)
        async with peer:
            assert call.scope["client"] is None
            assert call.scope["server"] == (path, None)
            await peer.send("hi")
            assert await call.receive() == {"type": "websocket.receive", "text": "hi"}
        call.finish()
        await server.idle()
        assert any(line.startswith(' - "WebSocket /" closed ') for line in log.infos())


async def test_a_trusted_proxy_says_who_the_client_is_and_how_it_came(serve: Serve, http: str, log: Log) -> None:
    headers = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")]
    async with serve(Calls(), http=http, forwarded_allow_ips="127.0.0.1") as server:
        peer, call = await opened(server, "/", headers)
        async with peer:
            assert call.scope["client"][0] == "192.0.2.7"
            assert call.scope["scheme"] == "wss"
        call.finish()
        await server.idle()
        assert any(line.startswith("192.0.2.7:") for line in log.infos())


async def test_a_proxy_that_is_not_trusted_is_the_client_itself(serve: Serve) -> None:
    async with serve(Calls(), forwarded_allow_ips="192.0.2.1") as server:
        peer, call = await opened(server, "/", [("X-Forwarded-For", "192.0.2.7")])
        async with peer:
            assert call.scope["client"] == peer.socket.getsockname()


async def test_tls_is_wss(serve: Serve, http: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    files = {"ssl_certfile": str(tmp_path / "cert.pem"), "ssl_keyfile": str(tmp_path / "key.pem")}
    async with serve(Calls(), http=http, **files) as server:
        opening = connect(f"wss://localhost:{server.address[1]}/", ssl=trusting, host="127.0.0.1", max_size=None)
        async with _answered(server, opening) as (client, call):
            assert call.scope["scheme"] == "wss"
            await client.send("x" * 100_000)
            assert (await call.receive())["text"] == "x" * 100_000
            await call.text("y" * 3_000_000)
            assert await client.recv() == "y" * 3_000_000
            await client.close(3000, "bye")
            assert await call.disconnected() == (3000, "bye")


class _answered:  # noqa: N801 - it reads as a function
    """Open a connection of the websockets client while the test plays the app."""

    def __init__(self, server: Serving, opening: Any) -> None:
        self._server = server
        self._opening = opening

    async def __aenter__(self) -> tuple[Any, Call]:
        import asyncio  # noqa: PLC0415

        task = asyncio.ensure_future(_wait(self._opening))
        call = await self._server.call()
        assert (await call.receive())["type"] == "websocket.connect"
        await call.send(ACCEPT)
        self._client = await task
        return self._client, call

    async def __aexit__(self, *exc_info: object) -> None:
        await self._client.close()


async def _wait(opening: Any) -> Any:
    return await opening


def test_the_class_can_be_subclassed_with_settings() -> None:
    settings = protocol_with(send_timeout=3).settings
    assert settings is not None
    assert settings.send_timeout == 3
