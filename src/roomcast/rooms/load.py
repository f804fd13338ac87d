"""Load: what a node has to do, as it tells the others."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.rooms.connection import Connections
    from roomcast.rooms.node import Node
    from roomcast.rooms.nodes import NodeInfo

LEAST_SECONDS = 0.5
"""How long a rate is measured for at the least: over less, one message would look like a flood."""


class Load:
    """Measures a node when it is asked, and nothing in between: what is counted anyway is looked at twice.

    Args:
        node: the node.
        connections: its connections that are in rooms.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, node: Node, connections: Connections, clock: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._connections = connections
        self._clock = clock
        self._counted = self._count()
        self._rates = 0.0, 0.0

    def note(self, info: NodeInfo) -> NodeInfo:
        """Give what is known of a node with its load as it is now, and its rates since they were last measured."""
        then, published_then, delivered_then = self._counted
        now, published, delivered = counted = self._count()
        seconds = now - then
        if seconds >= LEAST_SECONDS:
            self._rates = (published - published_then) / seconds, (delivered - delivered_then) / seconds
            self._counted = counted
        membership = self._node.membership
        return replace(
            info,
            members=membership.members,
            rooms=membership.rooms,
            published=round(self._rates[0], 1),
            delivered=round(self._rates[1], 1),
            queued_bytes=sum(connection.outlet.queued_bytes for connection in self._connections),
        )

    def _count(self) -> tuple[float, int, int]:
        return self._clock(), self._node.pace.turns, self._node.pace.deliveries
