from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomcast import Position

patient = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For machines under load: it is the examples that count, not how long they take."""


@patient
@given(st.integers(0, 10**19 - 1), st.text(min_size=1))
def test_a_position_reads_back_as_it_was_written(offset: int, epoch: str) -> None:
    position = Position(offset, epoch)
    assert Position.parse(str(position)) == position


def test_a_position_is_written_for_a_url() -> None:
    assert str(Position(12, "5eb1a6fd")) == "12.5eb1a6fd"


@pytest.mark.parametrize(
    "text",
    ["", ".", "12", "12.", ".epoch", "-1.e", "+1.e", "1e3.e", " 1.e", "१.e", "².e", "1" * 20 + ".e", "1_0.e"],
)
def test_what_is_no_position_is_told_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"a position is OFFSET\.EPOCH, such as 12\.5eb1a6fd, and not "):
        Position.parse(text)


def test_a_long_text_is_not_repeated_whole() -> None:
    with pytest.raises(ValueError, match="and not ") as caught:
        Position.parse("x" * 10_000)
    assert len(str(caught.value)) < 150
