"""The numbers of a process: what they are sorted by is bounded, and they add up."""

from __future__ import annotations

import pytest

from roomcast.errors import BrokerUnavailable, NotKept
from roomcast.tally import BrokerCalls, Distribution, Tally, Traffic, tally


class Counted:
    def __init__(self, traffic: Traffic, queued_bytes: int = 0) -> None:
        self.traffic = traffic
        self.queued_bytes = queued_bytes


def test_codes_that_somebody_made_up_are_counted_together() -> None:
    counts = Tally()
    for code in [*range(1000, 5000), 70_000]:
        counts.closed(code)
    assert counts.closes["1000"] == counts.closes["4020"] == counts.closes["1006"] == 1
    assert counts.closes["3xxx"] == 1000
    assert counts.closes["other"] == 1
    assert counts.closes.total() == 4001
    assert len(counts.closes) < 40


def test_what_went_over_connections_that_have_ended_is_counted_once() -> None:
    counts = Tally()
    one, other, never_open = Counted(Traffic(1, 2, 3, 4), 5), Counted(Traffic(10, 20, 30, 40)), Counted(Traffic(9))
    counts.connections |= {one, other}
    assert counts.traffic == Traffic(11, 22, 33, 44)
    assert counts.queued_bytes == 5
    for connection in (one, one, never_open):
        counts.lost(connection, 1000)
    assert counts.connections == {other}
    assert counts.closes == {"1000": 1}
    assert counts.traffic == Traffic(11, 22, 33, 44)
    assert counts.queued_bytes == 0


def test_a_distribution_sorts_by_upper_bounds() -> None:
    distribution = Distribution((1.0, 2.0))
    for value in (-0.5, 0.5, 1.0, 1.5, 2.0, 2.1, 100.0):
        distribution.observe(value)
    assert distribution.counts == [3, 2, 2]
    assert distribution.sum == pytest.approx(107.1)


@pytest.mark.parametrize(("error", "counted"), [(BrokerUnavailable, 1), (NotKept, 1), (ValueError, 0)])
def test_what_a_broker_could_not_do_is_counted_by_what_it_was(error: type[Exception], counted: int) -> None:
    calls = BrokerCalls("tests")
    with pytest.raises(error), calls:
        raise error
    with calls:
        pass
    assert tally.broker_errors.pop("tests") == counted
