"""What holds behind any proxy: one suite, which each of them has to pass."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import pytest
from starlette.responses import PlainTextResponse

from roomcast import WebSocket, websocket_app
from roomcast.client import Address, connect, tls_context
from roomcast.errors import HandshakeRefused
from roomcast.protocol.events import Close, Event
from roomcast.testing import LiveServer
from tests.deploy.conftest import DEADLINE, Page
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    import trustme
    from starlette.types import Receive, Scope, Send

QUIET = 3.0
"""For how many seconds a connection may be quiet, as the proxies are configured here."""


class Front(Protocol):
    """A proxy that runs.

    Attributes:
        port: where it listens, with TLS.
    """

    port: int

    def reload(self) -> None:
        """Take its configuration over anew."""


class Proxy(Protocol):
    """Starts a proxy in front of servers on these ports.

    `lingers` is for how many seconds it keeps connections after a reload.
    """

    def __call__(
        self, ports: list[int], folder: Path, certificate: Path, *, lingers: str = "1h"
    ) -> AbstractAsyncContextManager[Front]: ...


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Be healthy, and do what the path of a WebSocket says."""
    if scope["type"] == "http":
        await PlainTextResponse("well")(scope, receive, send)
    else:
        await websockets(scope, receive, send)


async def draining(scope: Scope, receive: Receive, send: Send) -> None:
    """Look healthy still, and take no WebSocket, as a server that has just begun to drain."""
    if scope["type"] == "http":
        await PlainTextResponse("well")(scope, receive, send)
    else:
        await WebSocket(scope, receive, send).reject(1012, "draining", status=503)


@websocket_app
async def websockets(ws: WebSocket) -> None:
    match ws.path:
        case "/refused":
            await ws.reject(4003, "not you", status=403)
        case "/who":
            await ws.accept()
            await ws.send_json({name: ws.headers.get(name) for name in ("host", "x-forwarded-proto")})
            await ws.send_json(ws.client.host if ws.client else None)
            await ws.close(4020, "go")
        case _:
            await ws.accept()
            async for message in ws:
                await ws.send(message)


class Heard:
    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    def __call__(self, event: Event) -> None:
        self.events.put_nowait(event)

    async def next(self) -> Event:
        async with asyncio.timeout(DEADLINE):
            return await self.events.get()


class ProxyContract:
    """The suite. Subclasses have a fixture `proxy`."""

    @pytest.fixture
    def trust(self, authority: trustme.CA, tmp_path: Path) -> str:
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        return str(tmp_path / "ca.pem")

    async def test_a_websocket_comes_through_and_so_does_its_close(
        self, proxy: Proxy, tmp_path: Path, certificate: Path, trust: str
    ) -> None:
        with LiveServer(application, lifespan="off") as live:
            async with proxy([live.port], tmp_path, certificate) as front:
                heard = Heard()
                client = await connect(self._address(front, "/"), heard=heard, tls=tls_context(cafile=trust))
                for message in ("hé", b"\x00\xff", "x" * 200_000):
                    client.send(message)
                    assert await heard.next() == message
                assert await client.close(4005, "bye") == Close(4005, "bye")

    async def test_the_app_sees_who_asks_and_the_client_the_apps_code(
        self, proxy: Proxy, tmp_path: Path, certificate: Path, trust: str
    ) -> None:
        with LiveServer(application, lifespan="off") as live:
            async with proxy([live.port], tmp_path, certificate) as front:
                heard = Heard()
                # From another of this machine's own addresses, so that it is told from the proxy's.
                forged = [(b"X-Forwarded-Proto", b"gopher")]
                await connect(
                    self._address(front, "/who"), heard=heard, tls=tls_context(cafile=trust), headers=forged
                )
                told = await heard.next()
                assert told == f'{{"host":"localhost:{front.port}","x-forwarded-proto":"https"}}'
                assert await heard.next() == '"127.0.0.1"'
                assert await heard.next() == Close(4020, "go")

    async def test_a_refusal_reaches_the_client_as_the_app_wrote_it(
        self, proxy: Proxy, tmp_path: Path, certificate: Path, trust: str
    ) -> None:
        with LiveServer(application, lifespan="off") as live:
            async with proxy([live.port], tmp_path, certificate) as front:
                with pytest.raises(HandshakeRefused) as caught:
                    await connect(self._address(front, "/refused"), heard=Heard(), tls=tls_context(cafile=trust))
        assert caught.value.status == 403
        assert b"not you" in caught.value.body

    async def test_a_quiet_connection_outlives_the_time_out_by_the_servers_pings(
        self, proxy: Proxy, tmp_path: Path, certificate: Path, trust: str
    ) -> None:
        with LiveServer(application, lifespan="off", ws_ping_interval=QUIET / 5) as live:
            async with proxy([live.port], tmp_path, certificate) as front:
                heard = Heard()
                client = await connect(self._address(front, "/"), heard=heard, tls=tls_context(cafile=trust))
                began = time.monotonic()
                pings = 0
                while time.monotonic() - began < QUIET * 1.5:
                    assert type(await heard.next()).__name__ == "Ping"
                    pings += 1
                assert pings >= 5
                client.send("still here")
                while (event := await heard.next()) != "still here":
                    assert type(event).__name__ == "Ping"
                await client.close()

    async def test_without_pings_the_time_out_ends_it(
        self, proxy: Proxy, tmp_path: Path, certificate: Path, trust: str
    ) -> None:
        with LiveServer(application, lifespan="off", ws_ping_interval=None) as live:
            async with proxy([live.port], tmp_path, certificate) as front:
                heard = Heard()
                began = time.monotonic()
                await connect(self._address(front, "/"), heard=heard, tls=tls_context(cafile=trust))
                assert await heard.next() == Close(1006, "")
                assert time.monotonic() - began >= QUIET * 0.9

    @pytest.mark.parametrize("lingers", ["1h", "1s"], ids=["kept", "cut"])
    async def test_a_reload_under_load_loses_nothing(
        self, proxy: Proxy, tmp_path: Path, certificate: Path, trust: str, lingers: str
    ) -> None:
        async with self._chat() as port, proxy([port], tmp_path, certificate, lingers=lingers) as front:
            url, tls = f"wss://localhost:{front.port}", tls_context(cafile=trust)
            names = [f"p{number}" for number in range(8)]
            pages = [Page(url, "load", name, tls) for name in names]
            said: list[str] = []
            for page in pages:
                await page.__aenter__()
            try:
                for turn in range(60):
                    for page, name in zip(pages, names, strict=True):
                        said.append(f"{name} {turn}")
                        await page.say(said[-1])
                    if turn in (10, 25):
                        front.reload()
                    await asyncio.sleep(0.05)
                for page in pages:
                    await page.has(len(said))
            finally:
                for page in pages:
                    await page.__aexit__()
            for page in pages:
                assert page.texts == pages[0].texts, "all in the same order"
                assert sorted(page.texts) == sorted(said), "each once"
                assert page.gaps == 0
            if lingers == "1h":
                assert [page.lost for page in pages] == [0] * len(pages), "what was open stays open"
            else:
                assert all(page.lost for page in pages), "this test is one of coming back"

    async def test_who_comes_while_it_reloads_is_let_in(
        self, proxy: Proxy, tmp_path: Path, certificate: Path, trust: str
    ) -> None:
        with LiveServer(application, lifespan="off") as live:
            async with proxy([live.port], tmp_path, certificate) as front:
                tls = tls_context(cafile=trust)
                for turn in range(40):
                    if turn % 10 == 5:
                        front.reload()
                    client = await connect(self._address(front, "/"), heard=Heard(), tls=tls)
                    await client.close()

    async def test_a_server_that_drains_leaves_handshakes_to_the_other(
        self, proxy: Proxy, tmp_path: Path, certificate: Path, trust: str
    ) -> None:
        with LiveServer(draining, lifespan="off") as going, LiveServer(application, lifespan="off") as live:
            async with proxy([going.port, live.port], tmp_path, certificate) as front:
                tls = tls_context(cafile=trust)
                for _ in range(10):
                    heard = Heard()
                    client = await connect(self._address(front, "/"), heard=heard, tls=tls)
                    client.send("hi")
                    assert await heard.next() == "hi"
                    await client.close()

    @staticmethod
    def _address(front: Front, path: str) -> Address:
        return Address.parse(f"wss://localhost:{front.port}{path}")

    @staticmethod
    @asynccontextmanager
    async def _chat() -> AsyncIterator[int]:
        with Program.roomcast("serve", "--port", "0", "--log-level", "warning") as server:
            line = await asyncio.to_thread(server.wait_for_line, r" on http://127\.0\.0\.1:(\d+) \(")
            yield int(line[1])
