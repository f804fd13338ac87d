"""Names: what the keys and channels of a room are called in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.crc import key_slot

if TYPE_CHECKING:
    from roomcast.rooms.brokers.redis.url import Location


class Names:
    """Gives the names of what belongs to rooms and nodes.

    What is in braces decides about the slot in a cluster, so all that belongs to one room is in one slot. Channels
    do not know databases, so the number of another one than the first is in the names.

    Args:
        location: has the prefix of all names, and the database.
    """

    def __init__(self, location: Location) -> None:
        prefix = location.settings.prefix
        self._prefix = f"{prefix}@{location.database}" if location.database else prefix
        self.leases = f"{self._prefix}:{{nodes}}"
        """Which nodes there are, by when their leases are over."""

    def room(self, room: str) -> str:
        """Give the name of a room's channel, which those of its keys begin with."""
        if "}" in room or "%" in room:
            room = room.replace("%", "%25").replace("}", "%7D")
        return f"{self._prefix}:{{{room}}}"

    def rooms_of(self, node: str) -> str:
        """Give the name of the hash that has the rooms of a node's members, and how many they are."""
        return f"{self._prefix}:{{node {node}}}:rooms"

    def life(self, slot: int | None = None) -> str:
        """Give the name of what has the life of a server's data: of any, or of the one that has a slot."""
        if slot is None:
            return f"{self._prefix}:life"
        number = 0
        while key_slot(f"{number}".encode()) != slot:
            number += 1
        return f"{self._prefix}:{{{number}}}:life"
