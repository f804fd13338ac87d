"""Membership: which member is in which room, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.counts import Reason, counts
from roomcast.errors import LimitReached

if TYPE_CHECKING:
    from roomcast.rooms.member import Member


class Membership:
    """The members of this process, by room. A room without members is not kept.

    Args:
        members_per_room: how many members a room may have in this process.
    """

    def __init__(self, members_per_room: int) -> None:
        self._members_per_room = members_per_room
        self._rooms: dict[str, dict[str, Member]] = {}
        self._snapshots: dict[str, tuple[Member, ...]] = {}
        """The members of rooms whose members were asked for since the last change."""

    @property
    def members(self) -> int:
        """How many members there are, in all rooms; who is in two counts twice."""
        return sum(map(len, self._rooms.values()))

    @property
    def rooms(self) -> int:
        """How many rooms have members."""
        return len(self._rooms)

    def check_space(self, room: str) -> None:
        """Find out whether one more member may come in.

        Raises:
            LimitReached: if the room is full.
        """
        if len(self._rooms.get(room, ())) >= self._members_per_room:
            counts[Reason.MEMBERS_PER_ROOM] += 1
            raise LimitReached(f"the room is full: it may have {self._members_per_room} members here")

    def add(self, member: Member) -> None:
        """Put a member into its room.

        Raises:
            LimitReached: if the room is full.
        """
        self.check_space(member.room)
        self._rooms.setdefault(member.room, {})[member.id] = member
        self._snapshots.pop(member.room, None)

    def discard(self, member: Member) -> bool:
        """Take a member out of its room, and say whether it was there."""
        members = self._rooms.get(member.room, {})
        if members.pop(member.id, None) is None:
            return False
        self._snapshots.pop(member.room, None)
        if not members:
            del self._rooms[member.room]
        return True

    @property
    def size(self) -> tuple[int, int]:
        """How many members there are, and how many rooms they are in."""
        return sum(map(len, tuple(self._rooms.values()))), len(self._rooms)

    def of(self, room: str) -> tuple[Member, ...]:
        """Give a room's members in the order of their joins. What changes later does not change what is given."""
        members = self._snapshots.get(room)
        if members is None:
            if room not in self._rooms:
                return ()
            members = self._snapshots[room] = tuple(self._rooms[room].values())
        return members
