"""Survey: what all nodes and rooms are like, asked of the broker once for all operators who look."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.rooms import NodeInfo, Presence, Rooms

EVERY = 1.0
"""How many seconds a survey is good for."""
SHARE = 0.1
"""What part of the time asking may take at the most. Where it takes long, it is done more seldom."""
MOST_LISTED = 2_000
"""How many members a room may have for them to be looked up."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a survey has found.

    Attributes:
        nodes: the processes that share the broker.
        rooms: how many members each room has, on all nodes.
        time: when it was found, in seconds since the Unix epoch.
    """

    nodes: Sequence[NodeInfo]
    rooms: dict[str, int]
    time: float

    def page(self, search: str, offset: int, limit: int) -> tuple[int, list[tuple[str, int]]]:
        """Give how many rooms have `search` in their name, and `limit` of those, the largest first."""
        rooms = self.rooms
        if search:
            wanted = search.casefold()
            rooms = {name: count for name, count in rooms.items() if wanted in name.casefold()}
        largest = nsmallest(offset + limit, rooms.items(), key=lambda room: (-room[1], room[0]))
        return len(rooms), largest[offset:]


class Survey:
    """Asks the broker when somebody wants to know, and not more often than it is good for.

    Args:
        rooms: the rooms.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._asking = asyncio.Lock()
        self._findings = Findings((), {}, 0.0)
        self._good_until = 0.0
        self._members: dict[str, tuple[float, list[Presence]]] = {}

    async def findings(self) -> Findings:
        """Give what was found lately.

        Raises:
            BrokerUnavailable: if the broker cannot be reached.
            RoomsClosed: if the rooms are not open.
        """
        async with self._asking:
            if time.monotonic() >= self._good_until:
                begun = time.monotonic()
                nodes, rooms = await self._rooms.nodes(), await self._rooms.active()
                nodes.sort(key=lambda node: (node.host, node.since))
                self._findings = Findings(nodes, rooms, time.time())
                self._good_until = _good_until(begun)
            return self._findings

    async def members(self, room: str) -> list[Presence] | None:
        """Give the members of a room, who came first at the front; None where they are too many to be listed.

        Raises:
            BrokerUnavailable: if the broker cannot be reached.
            RoomsClosed: if the rooms are not open.
        """
        count = (await self.findings()).rooms.get(room, 0)
        if not count:
            return []
        if count > MOST_LISTED:
            return None
        async with self._asking:
            begun = time.monotonic()
            good_until, members = self._members.get(room, (0.0, []))
            if begun >= good_until:
                members = sorted(await self._rooms.members(room), key=lambda member: member.since)
                # Of rooms that nobody looks at any more nothing is kept.
                self._members = {name: kept for name, kept in self._members.items() if kept[0] > begun}
                self._members[room] = _good_until(begun), members
            return members


def _good_until(begun: float) -> float:
    """Say until when, on the monotonic clock, is good what was begun to be asked then, and is known now."""
    now = time.monotonic()
    return max(begun + EVERY, now + (now - begun) / SHARE) - 0.05
