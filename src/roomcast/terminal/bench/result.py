"""Result: what a benchmark has measured, and whether it can be believed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from roomcast.close_codes import meaning
from roomcast.terminal.bench.histogram import Histogram

if TYPE_CHECKING:
    from roomcast.terminal.bench.plan import Plan

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
"""Which percentiles are told."""
BUSY = 0.85
"""From which share of a core on this program may be what was slow."""
LATE = 0.2
"""From which share of the latencies on it matters that messages were sent late, at the 99th percentile."""
LATE_AT_LEAST = 1_000_000
"""How many nanoseconds a message may be late in any case: an event loop's timers are no better."""


@dataclass
class Result:
    """What was measured.

    Attributes:
        url: where.
        plan: what was to be sent.
        opening: how long each handshake took.
        opening_seconds: how long all of them took, many at once.
        window: how many seconds each of `windows` is long.
        windows: the latencies of what was due in each part of the run.
        lateness: how long after it was due each message was sent.
        sent: how many messages were sent.
        unsent: how many were not, as their connection was closed, or took nothing any more.
        due: how many deliveries were due of what was sent.
        elapsed: how many seconds the run took, from the first message to the last delivery.
        cpu: the share of a core that this program used meanwhile.
        closes: how many connections the server closed meanwhile, by code.
    """

    url: str
    plan: Plan
    window: float
    windows: list[Histogram]
    opening: Histogram = field(default_factory=Histogram)
    opening_seconds: float = 0.0
    lateness: Histogram = field(default_factory=Histogram)
    sent: int = 0
    unsent: int = 0
    due: int = 0
    elapsed: float = 0.0
    cpu: float = 0.0
    closes: Counter[int] = field(default_factory=Counter)

    @property
    def latency(self) -> Histogram:
        """All latencies."""
        return Histogram.sum(self.windows)

    def doubts(self) -> list[str]:
        """Say why this may say less of the server than of the benchmark itself; nothing where it does not."""
        doubts = []
        if self.cpu >= BUSY:
            doubts.append(
                f"this program used {self.cpu:.0%} of a core, and so may be what was slow: ask for less, or run "
                "several of it, best on another machine"
            )
        late, latency = self.lateness.percentile(99), self.latency.percentile(99)
        if late >= max(LATE_AT_LEAST, LATE * latency):
            doubts.append(
                f"1 % of the messages were sent {ms(late)} late or later, which counts in their latency: this "
                "machine or this program is too busy for the rate"
            )
        return doubts

    def failures(self) -> list[str]:
        """Say what did not come about of the plan; nothing where all of it did."""
        failures = []
        missing = self.due - self.latency.count
        if missing > 0:
            failures.append(f"{missing:,} of {self.due:,} deliveries did not come: no latency above counts them")
        if self.unsent:
            whose = "its connection was" if self.unsent == 1 else "their connections were"
            failures.append(f"{_were(self.unsent, 'message')} not sent: {whose} closed or took nothing")
        for code, count in sorted(self.closes.items()):
            failures.append(f"{_were(count, 'connection')} closed by the server with {code}: {meaning(code)}")
        return failures

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON can carry it: durations in milliseconds."""
        plan, latency = self.plan, self.latency
        return {
            "url": self.url,
            "mode": "room" if plan.room else "echo",
            "connections": plan.connections,
            "rate": plan.rate,
            "size": plan.size,
            "seconds": plan.seconds,
            "deflate": plan.deflate,
            "opening": {"seconds": round(self.opening_seconds, 3)} | percentiles(self.opening),
            "sent": self.sent,
            "unsent": self.unsent,
            "deliveries": latency.count,
            "missing": max(0, self.due - latency.count),
            "deliveries_per_second": round(latency.count / self.elapsed, 1) if self.elapsed else 0.0,
            "latency": percentiles(latency),
            "sent_late": percentiles(self.lateness),
            "cpu": round(self.cpu, 3),
            "closes": {str(code): count for code, count in sorted(self.closes.items())},
            "doubts": self.doubts(),
        }


def percentiles(histogram: Histogram) -> dict[str, float]:
    """Give the percentiles and the maximum in milliseconds, by name."""
    found = {f"p{percent:g}": histogram.percentile(percent) / 1e6 for percent in PERCENTILES}
    return {name: round(value, 4) for name, value in (found | {"max": histogram.highest / 1e6}).items()}


def ms(nanoseconds: float) -> str:
    """Write a duration as people read it, with three digits."""
    for unit, size in (("s", 1e9), ("ms", 1e6)):
        if nanoseconds >= size:
            return f"{_three(nanoseconds / size)} {unit}"
    return f"{_three(nanoseconds / 1e3)} µs"


def _were(count: int, noun: str) -> str:
    """Write how many there were: `1 message was`, `2 messages were`."""
    return f"{count:,} {noun} was" if count == 1 else f"{count:,} {noun}s were"


def _three(value: float) -> str:
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f}"
