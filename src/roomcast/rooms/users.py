"""Users: which connections of this process belong to which user."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomcast.rooms.connection import Connection
    from roomcast.rooms.member import Member


class Users:
    """The members of this process, by user and connection. A user without members is not kept."""

    def __init__(self) -> None:
        self._users: dict[str, dict[Connection, list[Member]]] = {}

    def add(self, member: Member) -> None:
        """Note a member; one that belongs to no user is none here."""
        if member.user is not None:
            self._users.setdefault(member.user, {}).setdefault(member.connection, []).append(member)

    def discard(self, member: Member) -> None:
        """Forget a member, if it was noted."""
        connections = self._users.get(member.user or "", {})
        members = connections.get(member.connection, [])
        if member in members:
            members.remove(member)
            if not members:
                del connections[member.connection]
            if not connections:
                del self._users[member.user or ""]

    def of(self, user: str) -> tuple[Member, ...]:
        """Give one member of each of a user's connections, in the order of their first joins."""
        return tuple(members[0] for members in self._users.get(user, {}).values())
