"""Histogram: how often a duration came, in buckets that are narrow everywhere."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Histogram:
    """Counts durations of whole nanoseconds, in buckets no wider than a 128th of what is in them.

    So any percentile is right to 1 %, and a day's durations take no more memory than a second's: there are under
    8,000 buckets.

    Attributes:
        count: how many durations there are.
        highest: the longest, as it was.
    """

    __slots__ = ("_counts", "count", "highest")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.highest = 0

    def add(self, duration: int) -> None:
        """Count a duration; what is below 0 counts as 0."""
        duration = max(duration, 0)
        shift = max(duration.bit_length() - 8, 0)
        bucket = shift << 8 | duration >> shift
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1
        self.highest = max(self.highest, duration)

    @classmethod
    def sum(cls, histograms: Iterable[Histogram]) -> Histogram:
        """Add histograms up."""
        total = cls()
        for histogram in histograms:
            for bucket, count in histogram._counts.items():
                total._counts[bucket] = total._counts.get(bucket, 0) + count
            total.count += histogram.count
            total.highest = max(total.highest, histogram.highest)
        return total

    def percentile(self, percent: float) -> int:
        """Give the duration, in nanoseconds, that so many percent of all do not exceed; 0 where there are none."""
        if not self.count:
            return 0
        buckets = sorted(self._counts.items())
        due = self.count * percent / 100
        for (bucket, _), reached in zip(buckets, accumulate(count for _, count in buckets), strict=True):
            if reached >= due:
                return min(_end(bucket), self.highest)
        return self.highest

    def between(self, low: float, high: float) -> int:
        """Count the durations from `low` nanoseconds on and below `high`."""
        return sum(count for bucket, count in self._counts.items() if low <= _middle(bucket) < high)

    @property
    def lowest(self) -> int:
        """About the shortest, in nanoseconds; 0 where there are none."""
        return _middle(min(self._counts)) if self._counts else 0


def _middle(bucket: int) -> int:
    shift = bucket >> 8
    return ((bucket & 0xFF) << shift) + (1 << shift >> 1)


def _end(bucket: int) -> int:
    shift = bucket >> 8
    return ((bucket & 0xFF) + 1 << shift) - 1
