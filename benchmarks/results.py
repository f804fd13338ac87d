"""What was found: the numbers of every round, their medians, and what they are to ours."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.servers import OURS, SERVERS, Kind
from benchmarks.workload import LOAD
from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.servers import Server
    from benchmarks.workload import Workload


TIMES = "\N{MULTIPLICATION SIGN}"
STEADY = 1.15
"""Up to what spread of its rounds a number is taken for steady: differences below it say nothing."""


@dataclass
class Outcome:
    """What one workload found of one server.

    Attributes:
        rounds: each round's numbers, by the keys of the workload's metrics.
        failure: why there are none, or no more.
        compression: what the server agreed to, where the clients offer compression.
    """

    rounds: list[dict[str, float]] = field(default_factory=list)
    failure: str = ""
    compression: str = ""


@dataclass
class Results:
    """A whole measurement.

    Attributes:
        date: when it was made.
        machine: what it was made on, in words.
        command: how.
        rounds: how often each server was measured with each workload.
        seconds: how long each time.
        versions: what was measured, by the servers' names.
        workloads: what was found, by the workloads' names and the servers'.
    """

    date: str
    machine: str
    command: str
    rounds: int
    seconds: float
    versions: dict[str, str] = field(default_factory=dict)
    workloads: dict[str, dict[str, Outcome]] = field(default_factory=dict)

    def outcome(self, workload: Workload, server: Server) -> Outcome:
        """Give what was found, to read or to write."""
        return self.workloads.setdefault(workload.name, {}).setdefault(server.name, Outcome())

    def measured(self, workload: Workload) -> list[Server]:
        """Name the servers that a workload was tried on."""
        tried = self.workloads.get(workload.name, {})
        return [server for server in SERVERS if server.name in tried]

    def value(self, workload: Workload, server: Server, key: str) -> float | None:
        """Give the median of the rounds."""
        found = self.outcome(workload, server)
        if found.failure or not all(key in numbers for numbers in found.rounds):
            return None
        return median(numbers[key] for numbers in found.rounds) if found.rounds else None

    def ratio(self, workload: Workload, server: Server, key: str) -> float | None:
        """Give the median of what a server's number is to ours, each in its own round."""
        if self.value(workload, server, key) is None or self.value(workload, OURS, key) is None:
            return None
        both = zip(self.outcome(workload, server).rounds, self.outcome(workload, OURS).rounds, strict=True)
        ratios = [theirs[key] / ours[key] for theirs, ours in both if ours[key]]
        return median(ratios) if ratios else None

    def waited(self, workload: Workload, server: Server) -> bool:
        """Whether the load took more CPU than the server, which so waited for it.

        Its CPU is right, but its rate is at least what was measured, and its latencies are the load's.
        """
        load, spent = self.value(workload, server, LOAD), self.value(workload, server, "cpu_us")
        return load is not None and spent is not None and load >= spent

    def is_spoiled(self) -> bool:
        """Whether a server waited that runs the ASGI app: what is compared here are those."""
        return any(
            self.waited(workload, server)
            for workload in WORKLOADS
            for server in self.measured(workload)
            if server.kind in (Kind.OURS, Kind.ASGI)
        )

    def spread(self, workload: Workload, server: Server) -> float:
        """Say how far the rounds disagree: the most to the least, of the first metric."""
        numbers = [found[workload.metrics[0].key] for found in self.outcome(workload, server).rounds]
        return max(numbers) / min(numbers) if numbers and min(numbers) > 0 else 1.0

    def lightest(self, workload: Workload) -> tuple[float, float, Server] | None:
        """Give what the load and the server took with the server that took the least, the floor aside."""
        found = []
        for server in self.measured(workload):
            load, spent = self.value(workload, server, LOAD), self.value(workload, server, "cpu_us")
            if server.kind is not Kind.FLOOR and load is not None and spent is not None:
                found.append((load, spent, server))
        return min(found, key=lambda one: one[1], default=None)

    def how(self) -> str:
        """Say what the numbers are."""
        of = f"Medians of {self.rounds} rounds" if self.rounds > 1 else "One round"
        return f"{of}; {TIMES} is the median of the rounds' ratios to {OURS.title}."

    def write(self, path: Path) -> None:
        """Write all of it as JSON, with medians and ratios for whoever reads it without this program."""
        document: dict[str, Any] = asdict(self)
        document["ratios"] = f"the median, over the rounds, of a server's number to that of {OURS.title}"
        for workload in WORKLOADS:
            for server in self.measured(workload):
                entry = document["workloads"][workload.name][server.name]
                keys = [metric.key for metric in workload.metrics]
                entry["medians"] = {key: _rounded(self.value(workload, server, key)) for key in keys}
                entry["ratios"] = {key: _rounded(self.ratio(workload, server, key)) for key in keys}
                entry["rounds"] = [
                    {key: _rounded(number) for key, number in numbers.items()} for numbers in entry["rounds"]
                ]
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `write` has written."""
        document = json.loads(path.read_text())
        document.pop("ratios")
        workloads = {
            workload: {
                server: Outcome(found["rounds"], found["failure"], found["compression"])
                for server, found in servers.items()
            }
            for workload, servers in document.pop("workloads").items()
        }
        return cls(**document, workloads=workloads)


def _rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.5g}")
