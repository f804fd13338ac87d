"""Two nodes that share a Redis are restarted one after the other, while their clients talk: nothing is lost."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from roomcast import Rooms
from tests.brokers.redis_server import RedisServer, free_port, needs_redis
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_redis

READERS = 30
DRAIN = 2.0
RATE = 0.01
"""How many seconds lie between two publications."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as redis:
        yield redis


class Reader:
    """A client of the chat that comes back, on the other node, and goes on from where it was.

    Attributes:
        heard: the texts that it heard, in their order.
        closes: the codes that its connections were closed with.
    """

    def __init__(self, number: int, ports: list[int]) -> None:
        self._ports = ports
        self._turn = number
        self._position = ""
        self.heard: list[str] = []
        self.closes: list[int] = []

    async def run(self) -> None:
        while True:
            url = f"ws://127.0.0.1:{self._ports[self._turn % 2]}/ws/chat?room=general"
            since = f"&since={quote(self._position)}" if self._position else ""
            try:
                async with connect(url + since, subprotocols=[Subprotocol("roomcast.chat.v1")]) as client:
                    while True:
                        self._take(json.loads(await client.recv()))
            except ConnectionClosed as end:
                self.closes.append(end.rcvd.code if end.rcvd else 1006)
            except (OSError, InvalidHandshake):
                await asyncio.sleep(0.05)  # it is away, or goes
            self._turn += 1

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "welcome":
            at = message["position"]
            if not self._position:
                self._position = f"{at['offset']}.{at['epoch']}"
            else:
                assert message["recovered"] is True
        elif message["type"] == "message":
            self.heard.append(message["text"])
            self._position = f"{message['offset']}.{self._position.partition('.')[2]}"


async def test_nothing_is_lost_while_two_nodes_are_restarted(redis: RedisServer) -> None:
    ports = [free_port(), free_port()]

    def node(port: int) -> Program:
        options = ["--port", str(port), "--broker", redis.url, "--drain", f"{DRAIN}s"]
        many = ["--max-connections-per-address", "off", "--handshakes-per-second", "off"]
        return Program.roomcast("serve", *options, *many)

    readers = [Reader(number, ports) for number in range(READERS)]
    async with AsyncExitStack() as stack, Rooms(redis.url) as rooms, asyncio.TaskGroup() as tasks:
        nodes = [stack.enter_context(node(port)) for port in ports]
        for program in nodes:
            await asyncio.to_thread(program.wait_for_line, "Roomcast chat on")
        reading = [tasks.create_task(reader.run()) for reader in readers]
        async with asyncio.timeout(20):
            while await rooms.count("general") < READERS:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        published: list[str] = []
        done = asyncio.Event()

        async def publish() -> None:
            while not done.is_set():
                published.append(f"message {len(published)}")
                await rooms.publish("general", published[-1])
                await asyncio.sleep(RATE)

        publishing = tasks.create_task(publish())
        for index, port in enumerate(ports):
            assert await asyncio.to_thread(nodes[index].terminate, DRAIN + 5) == 0
            nodes[index] = stack.enter_context(node(port))
            await asyncio.to_thread(nodes[index].wait_for_line, "Roomcast chat on")
        done.set()
        await publishing
        async with asyncio.timeout(20):
            while any(reader.heard[-1:] != published[-1:] for reader in readers):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        for task in reading:
            task.cancel()
    assert len(published) > 100
    for reader in readers:
        assert reader.heard == published
        assert 1012 in reader.closes
