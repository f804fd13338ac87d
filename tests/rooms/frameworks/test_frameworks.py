"""Members of every framework, on our server and on uvicorn's own, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.client import connect

from roomcast import Rooms
from roomcast.testing import LiveServer
from tests.rooms.frameworks.apps import FRAMEWORKS, PATHS, App
from tests.rooms.guests import DEADLINE, notices, until
from tests.rooms.peers import RawPeer

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from websockets.sync.client import ClientConnection

OURS = "roomcast.server.uvicorn:WebSocketProtocol"
STOCK = "websockets-sansio"
"""uvicorn's own, which tells rooms nothing."""

CALLED_BACK = ("starlette_endpoint", "channels", "channels_sync")
"""Where the framework receives by itself, and calls back: it is never busy with something else."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "path" in metafunc.fixturenames:
        cases = [
            pytest.param(framework, path, id=f"{framework.__name__}-{path}")
            for framework in FRAMEWORKS
            for path in (("own", "forgets") if framework.__name__ in CALLED_BACK else PATHS)
        ]
        metafunc.parametrize(("framework", "path"), cases, indirect=["framework"], scope="module")


class Site:
    """A framework's app on a server."""

    def __init__(self, framework: Any, ws: str) -> None:
        self.name = framework.__name__
        self.rooms = Rooms("memory://", encoder=notices, linger=0)
        self.app = App(self.rooms)
        self._loop: asyncio.AbstractEventLoop | None = None
        application = framework(self.app)

        async def noting_the_loop(scope: Any, receive: Any, send: Any) -> None:
            self._loop = asyncio.get_running_loop()
            await application(scope, receive, send)

        self.server = LiveServer(noting_the_loop, ws=ws, ws_ping_interval=None)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the server's event loop, and wait for it."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(2 * DEADLINE)

    def receives(self, path: str) -> bool:
        """Whether what a client of this path says is received."""
        return path in ("member", "own") or self.name in CALLED_BACK

    def client(self, path: str, name: str) -> ClientConnection:
        return connect(f"{self.server.ws_url}/{path}?room=r&name={name}", compression=None, max_size=None)

    def raw(self, path: str, name: str) -> RawPeer:
        return RawPeer(self.server.port, f"/{path}?room=r&name={name}", receive_buffer=4096)

    async def is_empty(self) -> None:
        node = self.rooms._node
        await until(lambda: not (node.farewells or node.membership._rooms or node.subscriptions._rooms))


@pytest.fixture(scope="module", params=[OURS, STOCK], ids=["ours", "stock"])
def ws(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def framework(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def running(framework: Any, ws: str) -> Iterator[Site]:
    site = Site(framework, ws)
    with site.server:
        yield site


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """The running site, which every test leaves without members."""
    yield running
    running.run(running.is_empty())

    async def release() -> None:
        running.app.patience.set()
        await until(lambda: gc.collect() is not None and not running.rooms._connections)  # forgotten ones are weak
        running.app.patience.clear()

    running.run(release())
    running.app.left.clear()


def hear(client: ClientConnection, count: int = 1) -> list[str | bytes]:
    return [client.recv(timeout=DEADLINE) for _ in range(count)]


def test_members_are_present_and_hear_each_other(site: Site, path: str) -> None:
    with site.client("member", "a") as a, site.client(path, "b") as b:
        assert hear(a) == ["+b"]
        assert [member.info for member in site.run(site.rooms.members("r"))] == ["a", "b"]
        a.send("é")
        assert hear(a) == hear(b) == ["é"]
        site.run(site.rooms.publish("r", b"\x00\xff"))
        assert hear(a) == hear(b) == [b"\x00\xff"]
        if site.receives(path):
            b.send("from b")
            b.send(b"\x01")
            assert hear(a, 2) == hear(b, 2) == ["from b", b"\x01"]
    site.run(site.is_empty())
    assert site.run(site.rooms.members("r")) == []


def test_a_disconnect_is_a_leave_within_a_moment(site: Site, path: str) -> None:
    with site.client("member", "listener") as listener:
        for name, ending in (("a", RawPeer.close), ("b", RawPeer.reset), ("c", lambda peer: peer.socket.close())):
            with site.raw(path, name) as peer:
                assert hear(listener) == [f"+{name}"]
                ending(peer)
                assert hear(listener) == [f"-{name}"]
        assert [member.info for member in site.run(site.rooms.members("r"))] == ["listener"]


def test_a_disconnect_is_seen_behind_messages_that_nobody_takes(site: Site, path: str) -> None:
    with site.client("member", "listener") as listener, site.raw(path, "a") as peer:
        assert hear(listener) == ["+a"]
        peer.send("1", "2", "3")
        peer.close(4001)
        said = ["1", "2", "3"] if site.receives(path) else []
        assert hear(listener, len(said) + 1) == [*said, "-a"]


def test_one_who_reads_nothing_is_kicked_and_its_handler_is_told(
    site: Site, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomcast.rooms.outlet.CLOSE_TIMEOUT", 0.2)
    payload = b"x" * 50_000
    with site.client("member", "listener") as listener, site.raw(path, "slow"):
        assert hear(listener) == ["+slow"]
        for _ in range(200):
            site.run(site.rooms.publish("r", payload))
            if "-slow" in hear(listener):
                break
        else:
            pytest.fail("the slow one is never kicked")
        assert [member.info for member in site.run(site.rooms.members("r"))] == ["listener"]
        if site.receives(path):
            site.run(until(lambda: "slow" in site.app.left))


def test_an_app_kicks_and_closes(site: Site, path: str) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(site.client("member", "listener"))
        peer = stack.enter_context(site.raw(path, "a"))
        assert hear(listener) == ["+a"]

        async def kick() -> None:
            next(member for member in site.rooms._node.membership.of("r") if member.info == "a").close(4003, "out")

        site.run(kick())
        assert peer.close_frame() == (4003, "out")
        assert hear(listener) == ["-a"]
        if site.receives(path):
            site.run(until(lambda: "a" in site.app.left))
