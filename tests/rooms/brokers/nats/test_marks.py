"""Where in the stream a room's offsets are, so that not all of it is read by who missed little."""

from __future__ import annotations

import pytest

from roomcast.rooms.brokers.nats.marks import RECENT, RECENT_STEP, Marks
from roomcast.rooms.retention import Retention


@pytest.mark.parametrize("size", [16, 1000, 100_000])
@pytest.mark.parametrize("missed", [0, 1, 50, RECENT * RECENT_STEP // 2])
def test_who_missed_little_reads_little(size: int, missed: int) -> None:
    marks = Marks(Retention(size=size, bytes=1 << 29, age=3600))
    for offset in range(1, 50_001):
        marks.note(offset * 3, offset, offset * 100)
    known = 50_000 - missed
    start = marks.up_to(known)
    assert start <= known * 3
    assert known * 3 - start < RECENT_STEP * 3 + size // 16 * 3 * (size <= 1000)


def test_what_was_before_all_marks_is_read_from_the_beginning() -> None:
    marks = Marks(Retention(size=100_000, bytes=1 << 29, age=3600))
    for offset in range(5001, 10_001):
        marks.note(offset, offset, offset * 100)
    assert marks.up_to(5000) == 0
    assert marks.up_to(5001) == 5001
    marks.clear()
    assert marks.up_to(10_000) == 0
