"""Reader: what can be asked of rooms, which takes a broker and no members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.rooms.calls import LISTING, LOOKING, READING
from roomcast.rooms.events import from_envelope
from roomcast.rooms.names import NODES, check_room_name
from roomcast.rooms.nodes import NodeInfo
from roomcast.rooms.presence import Presence
from roomcast.rooms.publication import Publication
from roomcast.rooms.publisher import Publisher

if TYPE_CHECKING:
    from roomcast.rooms.publication import Position


class Reader(Publisher):
    """Reads what a broker keeps of rooms, and who is in them, on all nodes.

    Each of its methods may raise RoomsClosed, InvalidRoomName and BrokerUnavailable.
    """

    async def history(
        self, room: str, *, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> list[Publication]:
        """Give what is kept of a room's publications.

        Args:
            room: the room's name.
            since: only what came after this position.
            limit: at most so many, the oldest first; none for 0 and less.
            reverse: the newest first instead.
        """
        self._check_open()
        check_room_name(room)
        at_most = None if limit is None else max(limit, 0)
        with READING:
            history = await self._broker.history(room, since=since, limit=at_most, reverse=reverse)
        events = (from_envelope(room, position, payload) for position, payload in history.kept)
        return [event for event in events if isinstance(event, Publication)]

    async def position(self, room: str) -> Position:
        """Give the room's newest position."""
        self._check_open()
        check_room_name(room)
        with READING:
            return (await self._broker.history(room, limit=0)).position

    async def members(self, room: str) -> list[Presence]:
        """Give the members of a room, on all nodes."""
        self._check_open()
        check_room_name(room)
        with LOOKING:
            return [Presence.from_bytes(presence) for presence in await self._broker.present(room)]

    async def count(self, room: str) -> int:
        """Give the number of members of a room, on all nodes."""
        self._check_open()
        check_room_name(room)
        with LOOKING:
            return len(await self._broker.present(room))

    async def active(self) -> dict[str, int]:
        """Give the rooms that have members, on any node, and how many."""
        self._check_open()
        with LISTING:
            return await self._broker.rooms()

    async def nodes(self) -> list[NodeInfo]:
        """Give the processes that share the broker, this one among them, as each told lately."""
        self._check_open()
        with LOOKING:
            return [NodeInfo.from_bytes(node) for node in await self._broker.present(NODES)]
