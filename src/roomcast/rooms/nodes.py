"""Nodes: the processes that share a broker, as each of them tells the others."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Self

from roomcast import jsontext
from roomcast.errors import BrokerUnavailable
from roomcast.rooms.names import NODES

if TYPE_CHECKING:
    from roomcast.rooms.brokers.base import Broker
    from roomcast.rooms.load import Load

logger = logging.getLogger("roomcast.rooms")

INTERVAL = 5.0
"""How many seconds pass until a node tells again how many members and rooms it has."""
FAREWELL_SECONDS = 1.0
"""How many seconds a node that closes tries to tell so: it must not be kept from its end."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One process with rooms, as the others know it.

    Attributes:
        id: its id, which the ids of its members begin with.
        version: the version of Roomcast that it runs.
        host: the name of its machine.
        pid: its process id there.
        since: when its rooms were opened, in seconds since the Unix epoch.
        members: how many members it had when it last told.
        rooms: how many rooms had members there.
        published: how many messages a second were published there, joins and leaves among them.
        delivered: how many messages a second were handed to its members.
        queued_bytes: how many bytes waited for its members to read. An older version tells none of these three.
    """

    id: str
    version: str
    host: str
    pid: int
    since: float
    members: int = 0
    rooms: int = 0
    published: float = 0.0
    delivered: float = 0.0
    queued_bytes: int = 0

    @classmethod
    def of(cls, node: str) -> Self:
        """Describe this process."""
        return cls(node, version("roomcast"), socket.gethostname(), os.getpid(), time.time())

    def to_bytes(self) -> bytes:
        """Write it as brokers carry it."""
        return jsontext.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote, by this version or a later one that tells more."""
        fields = json.loads(data)
        return cls(**{name: fields[name] for name in cls.__slots__ if name in fields})


class Beacon:
    """Tells the other nodes of this one, again and again, until it is put out.

    Args:
        node: this node's id.
        broker: where to tell it.
        load: what this node has to do.
    """

    def __init__(self, node: str, broker: Broker, load: Load) -> None:
        self._info = NodeInfo.of(node)
        self._broker = broker
        self._load = load
        self._telling: asyncio.Task[None] | None = None

    async def light(self) -> None:
        """Tell it now, and from now on.

        Raises:
            BrokerUnavailable: if the broker cannot be reached.
        """
        self._info = NodeInfo.of(self._info.id)
        await self._tell()
        self._telling = asyncio.create_task(self._go_on_telling())

    async def put_out(self) -> None:
        """Tell that this node is gone."""
        if self._telling is None:
            return
        self._telling.cancel()
        await asyncio.wait([self._telling])
        self._telling = None
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._broker.depart(NODES, self._info.id)
        except (BrokerUnavailable, TimeoutError) as error:
            logger.warning("the broker was not told that this node closes; that will expire: %r", error)

    async def _tell(self) -> None:
        await self._broker.arrive(NODES, self._info.id, self._load.note(self._info).to_bytes())

    async def _go_on_telling(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self._tell()
            except BrokerUnavailable as error:
                logger.debug("the other nodes were not told of this one: %s", error)
