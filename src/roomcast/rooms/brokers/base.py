"""Broker: what gives publications their order, keeps them, and carries them to every node.

A broker knows rooms and opaque bytes: no members, no sockets, no formats.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Self

from roomcast.rooms.publication import Position
from roomcast.rooms.retention import BY_DEFAULT

if TYPE_CHECKING:
    from typing import TypeAlias

    from roomcast.rooms.brokers.history import History
    from roomcast.rooms.retention import Retention, Retentions

Deliver: TypeAlias = Callable[[str, Position | None, bytes], None]
"""Called with the room, the position (None for what is not kept) and the payload; returns without waiting."""
Returned: TypeAlias = Callable[[], None]
"""Called where publications may have been missed, once every subscription is in place again."""
Vanished: TypeAlias = Callable[[str, bytes], None]
"""Called with the room and the presence of a member whose node is gone, on one node of all."""


def do_nothing(*_arguments: object) -> None:
    """Stand in for one who is told, where nobody is."""


class Broker(ABC):
    """One broker, shared by all rooms of a node. Every method that waits may raise BrokerUnavailable."""

    many_processes: ClassVar[bool]
    """Whether several processes can share it."""
    retention: ClassVar[Retention]
    """What it keeps of a room that nothing else is said for."""

    @classmethod
    @abstractmethod
    def from_url(cls, url: str) -> Self:
        """Make the broker that a URL of its scheme names, without connecting; may raise ConfigurationError."""

    @property
    def reachable(self) -> bool:
        """Whether it can be reached now, as far as is known. One that is in this process always can."""
        return True

    @abstractmethod
    async def open(
        self,
        deliver: Deliver,
        retentions: Retentions = BY_DEFAULT,
        *,
        returned: Returned = do_nothing,
        vanished: Vanished = do_nothing,
    ) -> None:
        """Connect. From now on, hand what comes for subscribed rooms to `deliver`, in each room's order.

        A broker of many processes may lose its connection: it comes back by itself, for ever. It may then have
        missed publications, or deliver some twice, and says so by `returned`.
        """

    @abstractmethod
    async def close(self) -> None:
        """Disconnect and let go of everything."""

    @abstractmethod
    async def subscribe(self, room: str) -> None:
        """Receive the room's publications; all that are published after this returns."""

    @abstractmethod
    async def unsubscribe(self, room: str) -> None:
        """Receive no more of the room."""

    @abstractmethod
    async def publish(self, room: str, payload: bytes, *, key: str | None = None, keep: bool = True) -> Position:
        """Give the payload its position, keep it, and carry it to every subscribed node, in one step.

        A `key` seen lately in this room gives the position it had, and nothing is published again. With `keep`
        false it is carried only, takes no offset, and the room's newest position is returned. Where it was
        carried, but could not be kept, it raises NotKept.
        """

    @abstractmethod
    async def history(
        self, room: str, *, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> History:
        """Give what is kept after `since` (all, if None), the oldest `limit`, or the newest with `reverse`."""

    @abstractmethod
    async def arrive(self, room: str, member: str, presence: bytes) -> None:
        """Note a member's presence."""

    @abstractmethod
    async def depart(self, room: str, member: str) -> None:
        """Forget a member's presence, here first: where this raises, the presence expires."""

    @abstractmethod
    async def present(self, room: str) -> list[bytes]:
        """Give the presence of all members in a room, on all nodes."""

    @abstractmethod
    async def rooms(self) -> dict[str, int]:
        """Give the rooms that have members, on any node, and how many."""
