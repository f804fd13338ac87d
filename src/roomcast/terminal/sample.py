"""Sample: what a server's metrics are at one moment, and what has changed since another one."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable

Labels: TypeAlias = tuple[tuple[str, str], ...]


class Key(NamedTuple):
    """By what a metric is known: its name and its labels, as Prometheus has them."""

    name: str
    labels: Labels

    def __str__(self) -> str:
        """Write it as Prometheus does."""
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels)
        return f"{self.name}{{{labels}}}" if labels else self.name


@dataclass
class Spread:
    """A histogram of Prometheus': how many were up to each bound, how many there were, and their sum."""

    buckets: dict[float, float] = field(default_factory=dict)
    count: float = 0.0
    sum: float = 0.0

    def quantile(self, share: float) -> float | None:
        """Estimate what so large a share did not exceed, as between two bounds; None where there were none."""
        before, low = 0.0, 0.0
        due = self.count * share
        for bound, count in sorted(self.buckets.items()):
            if count >= due and count > 0:
                if bound == inf:
                    return low
                return low + (bound - low) * (due - before) / (count - before) if count > before else bound
            before, low = count, bound
        return None

    def since(self, earlier: Spread | None) -> Spread:
        """Give what came after an earlier one."""
        if earlier is None or earlier.count > self.count:
            return self
        buckets = {bound: count - earlier.buckets.get(bound, 0.0) for bound, count in self.buckets.items()}
        return Spread(buckets, self.count - earlier.count, self.sum - earlier.sum)


@dataclass
class Sample:
    """The metrics at one moment.

    Attributes:
        time: the moment, in seconds of a clock that never goes back.
        gauges: what is the case.
        counters: what has happened since the start.
        spreads: the histograms.
        helps: what a metric is, by its name.
    """

    time: float
    gauges: dict[Key, float] = field(default_factory=dict)
    counters: dict[Key, float] = field(default_factory=dict)
    spreads: dict[Key, Spread] = field(default_factory=dict)
    helps: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, time: float, prefix: str = "") -> Sample:
        """Read what a server says at /metrics.

        Args:
            text: Prometheus' text format.
            time: when it was said.
            prefix: leave out what is not named like this.

        Raises:
            ValueError: it is not of that format.
        """
        sample = cls(time)
        for family in text_string_to_metric_families(text):
            if not family.name.startswith(prefix):
                continue
            sample.helps[family.name] = family.documentation
            for name, labels, value, *_ in family.samples:
                sample._take(family.name, family.type, name, labels, float(value))
        return sample

    def rate(self, key: Key, earlier: Sample | None) -> float | None:
        """Say how often a second a counter has counted since an earlier sample; None where that is not known."""
        if earlier is None or key not in earlier.counters or self.time <= earlier.time:
            return None
        grown = self.counters[key] - earlier.counters[key]
        return grown / (self.time - earlier.time) if grown >= 0 else None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON can carry it."""
        return {
            "gauges": {str(key): _number(value) for key, value in self.gauges.items()},
            "counters": {str(key): _number(value) for key, value in self.counters.items()},
            "histograms": {
                str(key): {
                    "count": _number(spread.count),
                    "sum": _number(spread.sum),
                    "p50": spread.quantile(0.5),
                    "p99": spread.quantile(0.99),
                }
                for key, spread in self.spreads.items()
            },
        }

    def _take(self, family: str, kind: str, name: str, labels: dict[str, str], value: float) -> None:
        if name.endswith("_created"):
            return
        if kind == "histogram":
            spread = self.spreads.setdefault(Key(family, _sorted(labels, without="le")), Spread())
            if name.endswith("_bucket"):
                spread.buckets[float(labels["le"])] = value
            elif name.endswith("_count"):
                spread.count = value
            elif name.endswith("_sum"):
                spread.sum = value
        elif kind == "counter":
            self.counters[Key(family, _sorted(labels))] = value
        else:
            self.gauges[Key(name, _sorted(labels))] = value


def _sorted(labels: dict[str, str], without: str = "") -> Labels:
    pairs: Iterable[tuple[str, str]] = labels.items()
    return tuple(sorted(pair for pair in pairs if pair[0] != without))


def _number(value: float) -> float | int | None:
    if not isfinite(value):
        return None  # JSON has no such numbers
    return int(value) if value.is_integer() else value
