"""Marks: where in the stream some of a room's offsets are, to remove in one go what is kept no more."""

from __future__ import annotations

import time as clock
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from roomcast.rooms.retention import Retention

MOST = 256
"""How many marks of a room are remembered at the most."""
RECENT, RECENT_STEP = 64, 32
"""How many marks of a room's newest offsets are remembered, and how far apart, where its others are farther apart:
who resumes has mostly missed little, and would read much from the mark before."""
SLACK = 64
"""How many publications more than it keeps a room has in the stream at the least before they are removed."""
SLACK_BYTES = 256 << 10
"""How many bytes more, likewise."""


class Mark(NamedTuple):
    """An entry of a room.

    Attributes:
        sequence: its number in the stream.
        offset: the room's newest offset after it.
        total: how many bytes the room has had with it.
        time: when that was.
    """

    sequence: int
    offset: int
    total: int
    time: float


class Marks:
    """The marks of one room.

    Args:
        retention: what the room keeps.
    """

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._slack = max(SLACK, retention.size // 4)
        self._slack_bytes = max(SLACK_BYTES, retention.bytes // 4)
        self._marks: deque[Mark] = deque(maxlen=MOST)
        self._recent: deque[Mark] = deque(maxlen=RECENT if self._slack // 16 > RECENT_STEP else 0)

    def note(self, sequence: int, offset: int, total: int, time: float | None = None) -> None:
        """Note an entry, unless there is a mark close to it."""
        if self._recent.maxlen and (
            not self._recent
            or (sequence > self._recent[-1].sequence and offset - self._recent[-1].offset >= RECENT_STEP)
        ):
            self._recent.append(Mark(sequence, offset, total, clock.time() if time is None else time))
        if self._marks:
            last = self._marks[-1]
            step, step_bytes = 1 + self._slack // 16, 1 + self._slack_bytes // 16
            if sequence <= last.sequence or (offset - last.offset < step and total - last.total < step_bytes):
                return
        self._marks.append(Mark(sequence, offset, total, clock.time() if time is None else time))

    def clear(self) -> None:
        """Forget all, to note the room anew from its beginning."""
        self._marks.clear()
        self._recent.clear()

    def up_to(self, offset: int) -> int:
        """Give the number in the stream of an entry up to which all offsets are at most that one, 0 for none."""
        newest_first = chain(reversed(self._recent), reversed(self._marks))
        return next((mark.sequence for mark in newest_first if mark.offset <= offset), 0)

    def is_too_long(self, offset: int, total: int, newest: int, newest_total: int) -> bool:
        """Whether a room that still has all after that offset has so much that something is to be removed."""
        size, size_bytes = self._retention.size + self._slack, self._retention.bytes + self._slack_bytes
        return newest - offset > size or newest_total - total > size_bytes

    def cut(self, newest: int, newest_total: int) -> int:
        """Give the number in the stream before which nothing is kept any more, 0 where that is little."""
        marks, most = self._marks, self._retention
        if not marks or not self.is_too_long(marks[0].offset, marks[0].total, newest, newest_total):
            return 0
        oldest = clock.time() - most.age
        before = 0
        while marks and (
            newest - marks[0].offset >= most.size
            or newest_total - marks[0].total > most.bytes
            or marks[0].time <= oldest
        ):
            before = marks.popleft().sequence + 1
        return before
