from __future__ import annotations

import itertools

import pytest

from roomcast.terminal.bench.plan import BEAT, LEAST_SIZE, Plan


@pytest.mark.parametrize("size", [LEAST_SIZE, 128, 4096, 5000, 1_000_000])
def test_a_message_has_its_size_and_its_number(size: int) -> None:
    plan = Plan(size=size)
    for number in (0, 7, 999_999_999_999):
        message = plan.message(number)
        assert len(message) == size
        assert plan.number(f"Echo: {message}") == number


def test_only_messages_of_the_same_run_are_known() -> None:
    plan, other = Plan(), Plan()
    assert plan.number(other.message(1)) is None
    assert plan.number('{"type":"system","message":"Ada joined #bench"}') is None
    assert plan.number(plan.marker + "not a number") is None


@pytest.mark.parametrize("rate", [0.5, 10, 1000, 2000, 33_333, 100_000])
def test_messages_are_due_at_their_rate_and_several_at_once_only_where_they_are_many(rate: float) -> None:
    plan = Plan(rate=rate, seconds=2)
    assert plan.messages == round(rate * 2)
    due = [plan.due(number) for number in range(plan.messages)]
    assert due == sorted(due)
    assert due[0] == 0
    assert abs(due[-1] - 2e9) <= 1.1e9 / rate * plan.burst
    gaps = [later - earlier for earlier, later in itertools.pairwise(due) if later != earlier]
    assert all(gap >= BEAT * 0.6 for gap in gaps)
    assert plan.burst == 1 or 1e9 / rate < BEAT
