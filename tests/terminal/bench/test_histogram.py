from __future__ import annotations

import itertools
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.terminal.bench.histogram import Histogram

DURATIONS = st.lists(st.integers(0, 10**13), min_size=1, max_size=200)


def filled(durations: list[int]) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    return histogram


@given(DURATIONS, st.sampled_from([0.1, 50, 90, 99, 99.9, 100]))
def test_a_percentile_is_right_to_one_percent(durations: list[int], percent: float) -> None:
    exact = sorted(durations)[max(0, ceil(len(durations) * percent / 100 - 1e-9) - 1)]
    found = filled(durations).percentile(percent)
    assert exact <= found <= exact * 1.01 + 1


@given(DURATIONS, DURATIONS)
def test_a_sum_counts_what_its_parts_count(some: list[int], others: list[int]) -> None:
    total, whole = Histogram.sum([filled(some), filled(others)]), filled(some + others)
    assert (total.count, total.highest, total.lowest) == (whole.count, whole.highest, whole.lowest)
    assert [total.percentile(p) for p in (10, 50, 90)] == [whole.percentile(p) for p in (10, 50, 90)]


@given(DURATIONS)
def test_ranges_that_are_next_to_each_other_count_everything_once(durations: list[int]) -> None:
    histogram = filled(durations)
    edges = [0.0, 1e3, 1e6, 1e9, 1e12, 1e14]
    parts = [histogram.between(low, high) for low, high in itertools.pairwise(edges)]
    assert sum(parts) == len(durations)


def test_an_empty_one_has_nothing() -> None:
    histogram = Histogram()
    assert (histogram.count, histogram.highest, histogram.lowest, histogram.percentile(99)) == (0, 0, 0, 0)


def test_it_takes_no_more_memory_for_more_durations() -> None:
    assert len(filled(list(range(0, 10**7, 37)))._counts) < 3000


def test_what_is_below_zero_counts_as_zero() -> None:
    assert filled([-5]).percentile(50) == pytest.approx(0)
