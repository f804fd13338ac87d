"""Samples: metrics as plain data, which can be sent, added up and written for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from prometheus_client import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.registry import Collector

SampleKey: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name, and its labels by name."""

_GROWING = frozenset({"counter", "histogram", "summary"})
_NOT_ADDED = {"process_start_time_seconds": min, "python_info": max}
"""What is the same for the whole node, or the first's."""


@dataclass(slots=True)
class Family:
    """One metric with all its samples."""

    name: str
    documentation: str
    kind: str
    samples: dict[SampleKey, float] = field(default_factory=dict)

    def add(self, other: Family) -> None:
        """Add another process's samples to these."""
        for key, value in other.samples.items():
            known = self.samples.get(key)
            if known is None:
                self.samples[key] = value
            elif key[0].endswith("_created"):
                self.samples[key] = min(known, value)
            else:
                self.samples[key] = _NOT_ADDED.get(self.name, _added)(known, value)

    def as_metric(self) -> Metric:
        """Give it as prometheus-client's."""
        metric = Metric(self.name, self.documentation, self.kind)
        for (name, labels), value in self.samples.items():
            metric.add_sample(name, dict(labels), value)
        return metric


class Families(dict[str, Family]):
    """Metrics by their names: a collector of prometheus-client's."""

    def collect(self) -> Iterator[Metric]:
        """Give all of them."""
        for family in self.values():
            yield family.as_metric()

    def counted(self) -> Families:
        """Give those that only grow, which stay true of a process that has ended."""
        return Families({name: family for name, family in self.items() if family.kind in _GROWING})

    @classmethod
    def sum(cls, parts: Iterable[Families]) -> Self:
        """Add up those of several processes."""
        total = cls()
        for part in parts:
            for name, family in part.items():
                total.setdefault(name, Family(name, family.documentation, family.kind)).add(family)
        return total

    def to_json(self) -> list[Any]:
        """Give what `from_json` reads."""
        return [
            [
                family.name,
                family.documentation,
                family.kind,
                [[*key, value] for key, value in family.samples.items()],
            ]
            for family in self.values()
        ]

    @classmethod
    def from_json(cls, data: list[Any]) -> Self:
        """Read what `to_json` gave."""
        families = cls()
        for name, documentation, kind, samples in data:
            keyed = {(sample, tuple(map(tuple, labels))): value for sample, labels, value in samples}
            families[name] = Family(name, documentation, kind, keyed)
        return families


def families_of(*collectors: Collector) -> Families:
    """Collect. Of a metric that several give, the first counts."""
    families = Families()
    for collector in collectors:
        for metric in collector.collect():
            samples = {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in metric.samples
            }
            families.setdefault(metric.name, Family(metric.name, metric.documentation, metric.type, samples))
    return families


def _added(one: float, other: float) -> float:
    return one + other
