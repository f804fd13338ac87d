"""What the broker asks of its file, and what comes of it. The event loop makes them, the writer fills them in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import asyncio

    from roomcast.rooms.brokers.history import History
    from roomcast.rooms.publication import Position

OVERHEAD = 512
"""How many bytes a waiting publication counts beside its payload."""


@dataclass(slots=True, eq=False)
class Publish:
    """A publication on its way through the file.

    Attributes:
        room: its room.
        payload: what it carries.
        key: its name, by which a repeated one is known.
        keep: whether it takes an offset and a place in the history.
        done: what its publisher waits for.
        carried: whether it goes to the members: not where it was published before.
        position: its position, None where it has none.
        answer: what its publisher gets.
        newest: the room's newest position after it.
        error: what its publisher gets instead.
    """

    room: str
    payload: bytes
    key: str | None
    keep: bool
    done: asyncio.Future[Position]
    carried: bool = False
    position: Position | None = None
    answer: Position | None = None
    newest: Position | None = None
    error: Exception | None = None

    @property
    def size(self) -> int:
        """How many bytes it counts while it waits."""
        return len(self.payload) + OVERHEAD

    @property
    def durable(self) -> bool:
        """Whether the file has anything to do with it."""
        return self.keep or self.key is not None


@dataclass(slots=True, eq=False)
class Read:
    """A part of a room's history is asked for."""

    room: str
    since: Position | None
    limit: int | None
    reverse: bool
    done: asyncio.Future[History]
    found: History | None = None
    error: Exception | None = None


@dataclass(slots=True, eq=False)
class Locate:
    """A room's newest position is asked for."""

    room: str
    done: asyncio.Future[Position]
    found: Position | None = None


@dataclass(slots=True, eq=False)
class Sweep:
    """What has grown too old is to go.

    Attributes:
        in_use: the rooms that are not forgotten, whatever their age.
        forgotten: those that were.
        more: whether there is more to do.
    """

    in_use: frozenset[str]
    forgotten: list[str] = field(default_factory=list)
    more: bool = False


Request: TypeAlias = Publish | Read | Locate | Sweep
