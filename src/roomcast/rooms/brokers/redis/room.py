"""Room: what a room is called in Redis, and how much it keeps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from roomcast.rooms.retention import Retention

LONGEST_AGE = 100 * 366 * 86400.0
"""An age above this is for ever: Redis counts in milliseconds, and not without end."""


class Room(NamedTuple):
    """What a room is called in Redis, and how much it keeps.

    Attributes:
        channel: its channel, which the names of its keys begin with.
        order: the key of its order.
        stream: the key of what is kept.
        size: how many publications it keeps.
        space: how many bytes of them.
        age: for how many milliseconds; "" for ever.
    """

    channel: str
    order: str
    stream: str
    size: int
    space: int
    age: int | str

    @classmethod
    def of(cls, channel: str, kept: Retention) -> Room:
        """Describe the room of a channel."""
        age = math.ceil(kept.age * 1000) if kept.age < LONGEST_AGE else ""
        return cls(channel, f"{channel}:o", f"{channel}:s", kept.size, kept.bytes, age)

    def has_place_for(self, payload: bytes) -> bool:
        """Whether the history keeps a payload of this size at all."""
        return self.size > 0 and len(payload) <= self.space
