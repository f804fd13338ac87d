from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Protocol

import pytest

from roomcast.rooms.brokers.nats import NatsBroker
from roomcast.rooms.retention import BY_DEFAULT
from tests.brokers.nats_server import NatsServer
from tests.rooms.brokers.node import Node
from tests.rooms.guests import DEADLINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from roomcast.rooms.retention import Retentions


class NatsNode(Node):
    """A node whose broker tells of what it may have missed, and of whom it has found dead."""

    broker: NatsBroker

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(NatsBroker.from_url(url))
        self.returns = 0
        self.gone: list[tuple[str, bytes]] = []
        self._returned = asyncio.Event()

    async def open(self, retentions: Retentions = BY_DEFAULT) -> None:
        await self.broker.open(
            self._note, retentions, returned=self._note_return, vanished=lambda *gone: self.gone.append(gone)
        )

    async def has_returned(self) -> None:
        """Wait until the broker has told that something may have been missed, since this was last waited for."""
        await asyncio.wait_for(self._returned.wait(), 3 * DEADLINE)
        self._returned.clear()

    def _note_return(self) -> None:
        self.returns += 1
        self._returned.set()


class Open(Protocol):
    """Opens a broker on a server, or with settings of its own."""

    async def __call__(
        self, server: NatsServer | None = None, settings: str = "", retentions: Retentions = BY_DEFAULT
    ) -> NatsNode: ...


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server for all tests that leave it as it is; what they have there has names of their own."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server for a test that breaks it."""
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Opens brokers that share their rooms, and closes after the test those that are open still."""
    nodes: list[NatsNode] = []
    prefix = secrets.token_hex(6)

    async def opened(
        server: NatsServer | None = None, settings: str = "", retentions: Retentions = BY_DEFAULT
    ) -> NatsNode:
        server = server or request.getfixturevalue("shared_server")
        node = NatsNode(f"{server.url}?prefix={prefix}{settings}")
        await node.open(retentions)
        nodes.append(node)
        return node

    yield opened
    for node in nodes:
        await node.broker.close()
