"""Measuring: a workload, on each server in turn, round after round."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import frames
from benchmarks.check import check_echo
from benchmarks.load import loading
from benchmarks.processes import Cores, Failed, free_port, running

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.results import Results
    from benchmarks.servers import Server
    from benchmarks.workloads import Plan, Workload


@dataclass(frozen=True)
class Installed:
    """A server that can be started.

    Attributes:
        server: which.
        places: what the placeholders of its command stand for, but the port.
    """

    server: Server
    places: dict[str, str]

    def command(self, port: int) -> list[str]:
        """Give what starts it."""
        return [part.format(port=port, **self.places) for part in self.server.command]


def measure(
    workload: Workload, servers: list[Installed], load: Path, rounds: int, plan: Plan, results: Results
) -> None:
    """Measure each server once a round, so that what happens to the machine meanwhile happens to all alike.

    Each is started for it anew. Who begins changes from round to round. One that fails is not tried again.
    """
    for number in range(rounds):
        first = number % len(servers)
        for installed in servers[first:] + servers[:first]:
            outcome = results.outcome(workload, installed.server)
            if outcome.failure:
                continue
            print(
                f"{workload.title}, round {number + 1} of {rounds}: {installed.server.title}",
                file=sys.stderr,
                flush=True,
            )
            try:
                outcome.compression, numbers = _measure_once(workload, installed, load, plan)
                outcome.rounds.append(numbers)
            except Failed as why:
                outcome.failure = str(why)


def _measure_once(
    workload: Workload, installed: Installed, load: Path, plan: Plan
) -> tuple[str, dict[str, float]]:
    cores = Cores.of_this_machine()
    port = free_port()
    deflate = any(message.compressed for message in workload.messages)
    request = frames.request(port, deflate=deflate)
    sent = [message.frame() for message in workload.messages]
    with running(installed.command(port), port, cores.server, installed.places["apps"]) as server:
        compression = check_echo(port, request, workload.messages)
        with loading(load, port, cores.load, request, sent) as driven:
            return compression, workload.measure(server, driven, plan)
