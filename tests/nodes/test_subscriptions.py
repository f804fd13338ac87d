"""A node's subscriptions at a real broker, while many members come and go."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from roomcast import Disconnected, Rooms, WebSocket
from roomcast.testing import connect
from tests.cluster.clients import DEADLINE

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from roomcast.testing import TestConnection
    from tests.cluster.servers import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMBERS = 2_000
ROOMS = 200
AT_ONCE = 100
"""How many come or go at the same time."""


class Crowd:
    """Members of many rooms, without a network between them and their node."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._here: list[tuple[str, TestConnection]] = []
        self._random = random.Random(5)

    async def come(self, count: int) -> None:
        names = [f"room-{self._random.randrange(ROOMS)}" for _ in range(count)]
        self._here.extend(await asyncio.gather(*(self._enter(name) for name in names)))

    async def go(self, count: int) -> None:
        self._random.shuffle(self._here)
        going = [self._here.pop() for _ in range(min(count, len(self._here)))]
        await asyncio.gather(*(client.disconnect() for _, client in going))

    @property
    def rooms(self) -> dict[str, int]:
        """The rooms that have members, and how many."""
        return Counter(name for name, _ in self._here)

    async def _enter(self, name: str) -> tuple[str, TestConnection]:
        client = connect(self._app, f"/{name}", timeout=DEADLINE)
        await client.open()
        return name, client

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._rooms.join(scope["path"][1:], WebSocket(scope, receive, send)) as member:
                async for _ in member:
                    pass
        except Disconnected:
            return


@pytest.mark.timeout(120)
async def test_subscriptions_stay_in_step_and_none_is_left(server: Server) -> None:
    rooms = Rooms(server.url, linger=0)
    async with rooms:
        before = server.subscriptions()
        crowd = Crowd(rooms)
        for _ in range(MEMBERS // AT_ONCE):
            await crowd.come(AT_ONCE)
        assert server.subscriptions() == before + len(crowd.rooms)
        assert await rooms.active() == crowd.rooms
        for _ in range(MEMBERS // AT_ONCE // 2):
            await asyncio.gather(crowd.come(AT_ONCE // 2), crowd.go(AT_ONCE))
        await _settles(server, before + len(crowd.rooms))
        assert await rooms.active() == crowd.rooms
        while crowd.rooms:
            await crowd.go(AT_ONCE)
        await _settles(server, before)
        assert await rooms.active() == {}


async def _settles(server: Server, count: int) -> None:
    """Wait until the broker has so many subscriptions: rooms are unsubscribed from after their last member."""
    found = -1
    try:
        async with asyncio.timeout(DEADLINE):
            while (found := server.subscriptions()) != count:  # noqa: ASYNC110 - a broker tells nobody of it
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"the broker has {found} subscriptions, not {count}") from None
