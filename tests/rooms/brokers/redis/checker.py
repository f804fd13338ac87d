"""Publishers that go on whatever happens, and what holds then: nothing acknowledged is lost, or there twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from roomcast import BrokerUnavailable, Position

if TYPE_CHECKING:
    from tests.rooms.brokers.node import Delivery, Node

ROOMS = "a", "b", "c"


class Publishers:
    """Publish in some rooms, several in each, as fast as they are answered, while the block runs.

    Attributes:
        acknowledged: the payloads whose `publish` returned, and their positions.
        failed: the payloads whose `publish` raised: they may have been published or not.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.acknowledged: dict[bytes, Position] = {}
        self.failed: set[bytes] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._talk(room, number)) for room in ROOMS for number in range(5)]
        await self.more(50)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

    async def more(self, count: int) -> None:
        """Wait until so many more were acknowledged."""
        enough = len(self.acknowledged) + count
        async with asyncio.timeout(20):
            while len(self.acknowledged) < enough:  # noqa: ASYNC110 - it is counted in many places
                await asyncio.sleep(0.005)

    async def _talk(self, room: str, number: int) -> None:
        count = 0
        while True:
            count += 1
            payload = f"{room} {number} {count}".encode()
            try:
                self.acknowledged[payload] = await self._node.broker.publish(room, payload)
            except BrokerUnavailable:
                self.failed.add(payload)
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                self.failed.add(payload)
                raise


async def check(publishers: Publishers, node: Node) -> None:
    """See that the history has all that was acknowledged, once, where it was said to be, and lacks no offset."""
    for room in ROOMS:
        history = await node.broker.history(room)
        payloads = {payload: position for position, payload in history.kept}
        assert len(payloads) == len(history.kept), "something was published twice"
        assert [position.offset for position, _ in history.kept] == list(range(1, history.position.offset + 1))
        expected = {
            payload: position
            for payload, position in publishers.acknowledged.items()
            if payload.startswith(room.encode())
        }
        assert expected.items() <= payloads.items(), "something that was acknowledged is lost"
        assert set(payloads) - set(expected) <= publishers.failed


async def check_deliveries(node: Node, publishers: Publishers) -> None:
    """See that what was delivered, and what history has beside it, is all there is, in order, each once."""
    delivered: dict[str, list[Delivery]] = {room: [] for room in ROOMS}
    for delivery in node.so_far():
        delivered[delivery[0]].append(delivery)
    for room in ROOMS:
        history = await node.broker.history(room)
        kept = {position.offset: payload for position, payload in history.kept}
        offsets = [position.offset for _, position, _ in delivered[room] if position is not None]
        assert offsets == sorted(set(offsets)), "out of order, or twice"
        assert all(kept[position.offset] == payload for _, position, payload in delivered[room] if position)
    assert publishers.acknowledged
