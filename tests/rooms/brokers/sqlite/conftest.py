from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from roomcast.rooms.brokers.sqlite import SqliteBroker
from roomcast.rooms.brokers.sqlite.url import Location
from roomcast.rooms.retention import BY_DEFAULT
from tests.rooms.brokers.node import Node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from roomcast.rooms.retention import Retentions


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Open(Protocol):
    """Opens a broker on a file."""

    async def __call__(
        self, path: Path, *, synchronous: str = "full", retentions: Retentions = BY_DEFAULT
    ) -> Node: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def opened(clock: Clock) -> AsyncIterator[Open]:
    """Opens brokers, and closes after the test those that are open still."""
    nodes: list[Node] = []

    async def opened(path: Path, *, synchronous: str = "full", retentions: Retentions = BY_DEFAULT) -> Node:
        node = Node(SqliteBroker(Location(path, synchronous), clock))
        await node.open(retentions)
        nodes.append(node)
        return node

    yield opened
    for node in nodes:
        await node.broker.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rooms.db"


@pytest.fixture
async def node(opened: Open, path: Path) -> Node:
    return await opened(path)
