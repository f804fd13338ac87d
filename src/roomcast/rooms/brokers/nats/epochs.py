"""Epochs: which life of a room's numbers an offset counts in, as every node finds it by itself."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import NamedTuple

DAY = 86400.0
"""For how many seconds a room that has nothing stored has its epoch; what is stored is stored for longer."""


MOST_DAYS = 366
"""For how many days it is known that a room had no entry."""


class Loss(NamedTuple):
    """The note that the stream has lost what it had acknowledged.

    Attributes:
        sequence: its number in the stream: what is stored under lower ones may have followed on what was lost.
        token: what tells this loss from others.
        day: on which day it was noted, since the Unix epoch.
    """

    sequence: int
    token: str
    day: int


class Epochs:
    """The epochs of a stream's rooms.

    A room's first entry gives it its epoch, and each that follows says it again. A room that has no entry has the
    epoch of the day, which no entry of an earlier life of the room can have, as the stream keeps everything for
    more than a day. After a loss, each room that was there before has another epoch, which follows from the two,
    and for a day so has each room that has no entry: the stream forgets the note in time, as all that was before.
    """

    def __init__(self) -> None:
        self._created = ""
        self._days = 0
        self.loss: Loss | None = None

    def begin(self, created: str, loss: Loss | None, age: float) -> bool:
        """Take over when the stream was made, and the newest loss; says whether it is the same stream."""
        same = created == self._created
        self._created, self.loss = created, loss
        self._days = int(min(age, MOST_DAYS * DAY) // DAY)
        return same

    def of_empty(self, days_ago: int = 0) -> str:
        """Give the epoch of a room that has no entry, or had none some days ago."""
        day = int(time.time() // DAY) - days_ago
        lost = self.loss.token if self.loss is not None and day <= self.loss.day + 1 else ""
        return _hashed(self._created, str(day), lost)

    def is_of_empty(self, epoch: str) -> bool:
        """Whether a room without an entry had that epoch so lately that all is stored still that came after."""
        return any(epoch == self.of_empty(days) for days in range(self._days))

    def of(self, epoch: str, sequence: int) -> str:
        """Give the epoch of a room whose newest entry says `epoch` and has that number in the stream."""
        if self.loss is None or sequence > self.loss.sequence:
            return epoch
        return _hashed(epoch, self.loss.token)


def _hashed(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:8]
