"""Verdict: whether what processes had at rest has grown."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.soak.watch import Look, Watch

LEAST = 8
"""How many looks at rest it takes to say anything of growth: a median of two in each quarter."""


class Bounds(NamedTuple):
    """How much may come to what a process had at rest.

    Attributes:
        memory: bytes, where the share is less than that.
        share: of its memory.
        descriptors: file descriptors.
    """

    memory: int
    share: float
    descriptors: int


class Growth(NamedTuple):
    """What became of something from after the warm-up to the end.

    Attributes:
        early: the median of the second quarter of what was seen.
        late: that of the last quarter.
    """

    early: float
    late: float

    @property
    def by(self) -> float:
        """How much more it became."""
        return self.late - self.early


def growth(values: Sequence[float]) -> Growth:
    """Compare the last quarter with the second one: in the first, a process fills what it keeps from then on."""
    quarter = max(1, len(values) // 4)
    return Growth(median(values[quarter : 2 * quarter] or values[:1]), median(values[-quarter:]))


def grown(watch: Watch, bounds: Mapping[str, Bounds]) -> list[str]:
    """Say who has grown: nothing, where nobody has.

    Args:
        watch: what was seen.
        bounds: of each process that is judged, how much it may grow.
    """
    found = []
    for name, bound in bounds.items():
        rests = watch.rests[name]
        if len({look.pid for look in rests}) != 1:
            found.append(f"{name} was not one process from start to end, or never at rest")
            continue
        memory, descriptors = of_memory(rests), of_descriptors(rests)
        allowed = max(bound.memory, bound.share * memory.early)
        if memory.by > allowed:
            found.append(
                f"the memory of {name} grew from {mib(memory.early)} to {mib(memory.late)} MiB, "
                f"and by {mib(allowed)} it may"
            )
        if descriptors.by > bound.descriptors:
            found.append(
                f"{name} had {descriptors.early:g} files open at rest and has {descriptors.late:g}, "
                f"and {bound.descriptors} more it may have"
            )
    return found


def of_memory(looks: Sequence[Look]) -> Growth:
    """Give what became of the memory."""
    return growth([look.usage.memory for look in looks])


def of_descriptors(looks: Sequence[Look]) -> Growth:
    """Give what became of the file descriptors."""
    return growth([look.usage.descriptors for look in looks])


def mib(size: float) -> str:
    """Write bytes in MiB."""
    return f"{size / (1 << 20):.1f}"
