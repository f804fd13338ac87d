"""What the brokers of one process have in common: its subscriptions, and who is present in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.rooms.brokers.base import Broker, Deliver, Returned, Vanished, do_nothing
from roomcast.rooms.names import is_internal
from roomcast.rooms.retention import BY_DEFAULT

if TYPE_CHECKING:
    from roomcast.rooms.retention import Retention, Retentions


class LocalBroker(Broker):
    """A broker whose rooms are all in this process."""

    many_processes = False

    def __init__(self) -> None:
        self._deliver: Deliver = do_nothing
        self._retentions: Retentions = BY_DEFAULT
        self._subscribed: set[str] = set()
        self._present: dict[str, dict[str, bytes]] = {}

    async def open(
        self,
        deliver: Deliver,
        retentions: Retentions = BY_DEFAULT,
        *,
        returned: Returned = do_nothing,  # noqa: ARG002 - it never leaves
        vanished: Vanished = do_nothing,  # noqa: ARG002 - nor does any other node, for there is none
    ) -> None:
        """Hand publications to `deliver` from now on, and keep what `retentions` says."""
        self._deliver = deliver
        self._retentions = retentions

    async def close(self) -> None:
        """Forget who is here."""
        self._deliver = do_nothing
        self._subscribed.clear()
        self._present.clear()

    async def subscribe(self, room: str) -> None:
        """Deliver the room's publications from now on."""
        self._subscribed.add(room)

    async def unsubscribe(self, room: str) -> None:
        """Deliver the room's publications no more."""
        self._subscribed.discard(room)

    async def arrive(self, room: str, member: str, presence: bytes) -> None:
        """Note a member's presence."""
        self._present.setdefault(room, {})[member] = presence

    async def depart(self, room: str, member: str) -> None:
        """Forget a member's presence."""
        present = self._present.get(room, {})
        present.pop(member, None)
        if not present:
            self._present.pop(room, None)

    async def present(self, room: str) -> list[bytes]:
        """Give the presence of all members in a room."""
        return list(self._present.get(room, {}).values())

    async def rooms(self) -> dict[str, int]:
        """Give the rooms that have members, and how many."""
        return {room: len(present) for room, present in self._present.items() if not is_internal(room)}

    def retention_of(self, room: str) -> Retention:
        """Give what a room keeps."""
        return self._retentions.of(room, type(self).retention)

    def _in_use(self, room: str) -> bool:
        return room in self._subscribed or room in self._present
