"""Census: what the rooms of a process tell operators of themselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomcast.health import health
from roomcast.lag import measure
from roomcast.tally import tally

if TYPE_CHECKING:
    from roomcast.rooms.connection import Connections
    from roomcast.rooms.node import Node


class Census:
    """Counts members and what waits for them, and says whether the broker can be reached, while rooms are open.

    Args:
        node: the process.
        connections: its connections that are in rooms.
    """

    def __init__(self, node: Node, connections: Connections) -> None:
        self._node = node
        self._connections = connections

    def open(self) -> None:
        """Take part in the tally and the health of this process."""
        tally.rooms.add(self)
        health.checks.add(self._problem)
        measure(asyncio.get_running_loop())

    def close(self) -> None:
        """Take part no more."""
        tally.rooms.discard(self)
        health.checks.discard(self._problem)

    @property
    def size(self) -> tuple[int, int]:
        """How many members there are in this process, and how many rooms they are in."""
        return self._node.membership.size

    @property
    def queued_bytes(self) -> int:
        """How many bytes of messages wait for members on servers that are not ours."""
        return sum(connection.queued_bytes for connection in self._connections)

    def _problem(self) -> str:
        return "" if self._node.broker.reachable else "the broker cannot be reached"
