from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from roomcast.rooms.brokers.redis import RedisBroker
from roomcast.rooms.retention import BY_DEFAULT
from tests.brokers.redis_server import RedisServer
from tests.rooms.brokers.node import Node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from roomcast.rooms.retention import Retentions


class Open(Protocol):
    """Opens a broker on a server."""

    async def __call__(self, url: str, *, retentions: Retentions = BY_DEFAULT) -> Node: ...


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as redis:
        yield redis


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Opens brokers, and closes after the test those that are open still."""
    nodes: list[Node] = []

    async def opened(url: str, *, retentions: Retentions = BY_DEFAULT) -> Node:
        node = Node(RedisBroker.from_url(url))
        await node.open(retentions)
        nodes.append(node)
        return node

    yield opened
    for node in nodes:
        await node.broker.close()
