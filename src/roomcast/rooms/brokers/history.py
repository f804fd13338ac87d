"""History: what a broker gives of a room's past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomcast.rooms.publication import Position


@dataclass(frozen=True, slots=True)
class History:
    """A part of a room's history.

    Attributes:
        kept: positions and payloads, in order (or reversed, where that was asked for).
        position: the room's newest position.
        complete: whether nothing is missing between what was asked for and what is here.
    """

    kept: list[tuple[Position, bytes]]
    position: Position
    complete: bool
