"""Rooms on a real server, with real sockets, and peers that behave as badly as they can."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from roomcast import Disconnected, LimitReached, Rooms, WebSocket
from roomcast.testing import LiveServer
from tests.rooms.guests import DEADLINE, notices, until
from tests.rooms.peers import BINARY, TEXT, RawPeer

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from starlette.types import Receive, Scope, Send
    from websockets.sync.client import ClientConnection


OURS = "roomcast.server.uvicorn:WebSocketProtocol"
STOCK = "websockets-sansio"
"""uvicorn's own, where rooms have nothing but the plain `send`."""


class Gone(NamedTuple):
    """What became of a member, as its handler saw it."""

    name: str
    code: int | None
    reason: str


class Site:
    """A server whose members say what they send to the whole room, and what the handlers saw."""

    def __init__(self, ws: str = OURS) -> None:
        self.rooms = Rooms("memory://", encoder=notices, members_per_room=200, linger=0)
        self._ended: queue.Queue[Gone] = queue.Queue()
        self._left: queue.Queue[Gone] = queue.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.server = LiveServer(self.rooms.wrap(self.app), ws=ws)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self._loop = asyncio.get_running_loop()
            return
        ws = WebSocket(scope, receive, send)
        if ws.path == "/refused":
            await ws.reject(4001, "no token", status=401)
            return
        name = ws.query["name"]
        try:
            async with self.rooms.join(ws.query["room"], ws, info=name) as member:
                async for message in member:
                    await self.rooms.publish(member.room, message)
                self._ended.put(Gone(name, ws.close_code, ws.close_reason))
        except LimitReached:
            await ws.reject(4029, "full", status=503)
        except Disconnected:
            return
        finally:
            self._left.put(Gone(name, ws.close_code, ws.close_reason))

    def run(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine in the server's event loop, and wait for it."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(2 * DEADLINE)

    def ended(self, name: str) -> Gone:
        """Wait until the loop of a member's handler has ended."""
        return self._await(self._ended, name)

    def left(self, name: str) -> Gone:
        """Wait until a member's handler has returned."""
        return self._await(self._left, name)

    def client(self, room: str, name: str) -> ClientConnection:
        return connect(f"{self.server.ws_url}/ws?room={room}&name={name}", compression=None, max_size=None)

    def raw(self, room: str, name: str, *, receive_buffer: int | None = None) -> RawPeer:
        return RawPeer(self.server.port, f"/ws?room={room}&name={name}", receive_buffer=receive_buffer)

    @staticmethod
    def _await(news: queue.Queue[Gone], name: str) -> Gone:
        gone = news.get(timeout=DEADLINE)
        assert gone.name == name
        return gone


@pytest.fixture(scope="module", params=[OURS, STOCK], ids=["ours", "stock"])
def running(request: pytest.FixtureRequest) -> Iterator[Site]:
    site = Site(request.param)
    with site.server:
        yield site


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """The running site, which every test leaves without members."""
    yield running
    rooms = running.rooms
    running.run(
        until(lambda: not (rooms._connections or rooms._node.farewells or rooms._node.subscriptions._rooms))
    )
    assert not rooms._node.membership._rooms
    for news in (running._ended, running._left):
        while not news.empty():
            news.get()


def hear(client: ClientConnection, count: int = 1) -> list[str | bytes]:
    return [client.recv(timeout=DEADLINE) for _ in range(count)]


def test_members_talk_in_text_and_binary(site: Site) -> None:
    with site.client("r", "a") as a, site.client("r", "b") as b:
        assert hear(a) == ["+b"]
        a.send("é")
        b.send(b"\x00\xff")
        assert sorted(map(repr, hear(a, 2))) == sorted(map(repr, ["é", b"\x00\xff"]))
        assert sorted(map(repr, hear(b, 2))) == sorted(map(repr, ["é", b"\x00\xff"]))
        b.send(["frag", "ment", "ed"])
        assert hear(a) == hear(b) == ["fragmented"]


def test_a_close_with_code_and_reason_reaches_the_handler_and_is_told_once(site: Site) -> None:
    with site.client("r", "listener") as listener, site.raw("r", "a") as peer:
        assert hear(listener) == ["+a"]
        peer.close(4321, "bye")
        assert site.ended("a") == Gone("a", 4321, "bye")
        assert hear(listener) == ["-a"]
        assert peer.close_frame() == (4321, "bye")
        listener.send("on it goes")
        assert hear(listener) == ["on it goes"]


@pytest.mark.parametrize("how", ["reset", "half_close", "shut"])
def test_a_connection_that_is_lost_leaves_its_room(site: Site, how: str) -> None:
    with site.client("r", "listener") as listener, site.raw("r", "a") as peer:
        assert hear(listener) == ["+a"]
        if how == "shut":
            peer.socket.close()
        else:
            getattr(peer, how)()
        assert hear(listener) == ["-a"]
        assert site.left("a").code in {1005, 1006}


def test_a_connection_that_is_lost_in_the_middle_of_a_frame_leaves_its_room(site: Site) -> None:
    with site.client("r", "listener") as listener, site.raw("r", "a") as peer:
        assert hear(listener) == ["+a"]
        peer.send_raw(b"\x81\xfe\x10")
        peer.reset()
        assert hear(listener) == ["-a"]


def test_a_peer_that_breaks_the_protocol_leaves_its_room(site: Site) -> None:
    with site.client("r", "listener") as listener, site.raw("r", "a") as peer:
        assert hear(listener) == ["+a"]
        peer.send_raw(b"\xff\x80\x00\x00\x00\x00")
        assert site.ended("a").code == 1002
        assert hear(listener) == ["-a"]


def test_a_peer_that_stops_reading_delays_nobody_and_is_closed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomcast.rooms.outlet.CLOSE_TIMEOUT", 0.2)
    payload = b"x" * 50_000
    with (
        site.client("r", "listener") as listener,
        site.client("r", "speaker") as speaker,
        site.raw("r", "stalled", receive_buffer=4096),
    ):
        assert hear(listener, 2) == ["+speaker", "+stalled"]
        assert hear(speaker) == ["+stalled"]
        heard: list[str | bytes] = []
        published = 0
        while "-stalled" not in heard:
            speaker.send(payload)
            published += 1
            heard += hear(listener)
            assert hear(speaker)
            assert published < 200, "the stalled peer is never closed"
        gone = site.ended("stalled")
        assert gone.code == 4020
        assert site.left("stalled").code == 4020
        speaker.send("on it goes")
        while heard[-1] != "on it goes":
            heard += hear(listener)
        assert [message for message in heard if message != payload] == ["-stalled", "on it goes"]
        assert heard.count(payload) == published


def test_a_peer_that_reads_again_in_time_gets_an_unbroken_beginning_and_the_close(site: Site) -> None:
    with site.client("r", "speaker") as speaker, site.raw("r", "slow", receive_buffer=4096) as slow:
        assert hear(speaker) == ["+slow"]
        for number in range(200):
            speaker.send(f"{number} ".encode() + b"x" * 50_000)
            if "-slow" in hear(speaker):
                break
        site.ended("slow")
        numbers: list[int] = []
        while True:
            opcode, data = slow.receive()
            if opcode != BINARY:
                break
            numbers.append(int(data.split()[0]))
        assert (opcode, data[:2]) == (0x8, (4020).to_bytes(2, "big"))
        assert data.endswith(b"come back and resume")
        assert numbers == list(range(len(numbers)))
        slow.reset()
        site.left("slow")


def test_a_burst_in_one_piece_closes_nobody_that_reads(site: Site) -> None:
    """Thousands of messages come out of one read of the socket, and together are more than an outbox holds."""
    with site.client("r", "listener") as listener, site.raw("r", "burst") as burst:
        assert hear(listener) == ["+burst"]
        messages = [str(number) for number in range(15_000)]

        def speak() -> None:
            burst.send(*messages)

        def read() -> list[bytes]:
            return [burst.receive()[1] for _ in messages]

        with ThreadPoolExecutor() as threads:
            speaking, reading = threads.submit(speak), threads.submit(read)
            assert hear(listener, len(messages)) == messages
            speaking.result(DEADLINE)
            assert [message.decode() for message in reading.result(DEADLINE)] == messages


def test_messages_bigger_than_an_outbox_reach_who_reads(site: Site) -> None:
    with site.client("r", "a") as a, site.client("r", "b") as b:
        assert hear(a) == ["+b"]
        for _ in range(2):
            a.send(bytes(3_000_000))
            assert [len(hear(client)[0]) for client in (a, b)] == [3_000_000, 3_000_000]


def test_an_app_turns_connections_away_with_a_status_and_a_body(site: Site) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(f"{site.server.ws_url}/refused").__enter__()
    response = caught.value.response
    assert response.status_code == 401
    assert json.loads(response.body or b"") == {"code": 4001, "reason": "no token"}
    assert response.headers["content-type"] == "application/json"


def test_many_come_and_go_at_once_and_nothing_is_left(site: Site) -> None:
    def visit(number: int) -> int:
        with site.client(f"room{number % 3}", str(number)) as client:
            client.send(f"from {number}")
            heard = 0
            while f"from {number}" not in hear(client):
                heard += 1
            return heard

    with ThreadPoolExecutor(20) as threads:
        assert len(list(threads.map(visit, range(100)))) == 100


def test_one_order_for_all_whoever_speaks(site: Site) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(site.client("r", str(number))) for number in range(4)]
        for number, client in enumerate(clients):
            assert hear(client, 3 - number) == [f"+{other}" for other in range(number + 1, 4)]

        def speak(number: int) -> None:
            for count in range(100):
                clients[number].send(f"{number}.{count}")

        with ThreadPoolExecutor() as threads:
            speaking = [threads.submit(speak, number) for number in range(4)]
            heard = list(threads.map(lambda client: hear(client, 400), clients))
        for spoken in speaking:
            spoken.result()
    assert heard[0] == heard[1] == heard[2] == heard[3]
    for number in range(4):
        own = [str(message) for message in heard[0] if str(message).startswith(f"{number}.")]
        assert own == [f"{number}.{count}" for count in range(100)]


def test_a_server_that_stops_tells_its_members_to_come_back() -> None:
    site = Site()
    with contextlib.ExitStack() as stack:
        with site.server:
            client = stack.enter_context(site.client("r", "a"))
            client.send("hi")
            assert hear(client) == ["hi"]
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=DEADLINE)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        assert site.left("a").code == 1012


def test_raw_peers_speak_as_the_others_do(site: Site) -> None:
    with site.raw("r", "a") as peer:
        peer.send("one", b"two")
        assert [peer.receive(), peer.receive()] == [(TEXT, b"one"), (BINARY, b"two")]
