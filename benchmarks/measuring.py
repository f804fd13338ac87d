"""Measuring: a workload, on each server in turn, round after round."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import frames
from benchmarks.check import check_echo, check_room
from benchmarks.load import loading
from benchmarks.processes import Cores, Failed, free_port, running
from benchmarks.servers import App

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.results import Results
    from benchmarks.servers import Server
    from benchmarks.workload import Plan, Workload


@dataclass(frozen=True)
class Installed:
    """A server that can be started.

    Attributes:
        server: which.
        places: what the placeholders of its command stand for, but the port.
    """

    server: Server
    places: dict[str, str]

    def command(self, app: App, port: int, data: str) -> list[str]:
        """Give what starts it."""
        return [part.format(port=port, data=data, **self.places) for part in self.server.commands[app]]


def takes_part(server: Server, workload: Workload) -> bool:
    """Whether a server is measured with a workload: it can serve it, and in reasonable time."""
    return workload.app in server.commands and server.name not in workload.left_out


def measure(
    workload: Workload, servers: list[Installed], load: Path, rounds: int, plan: Plan, results: Results
) -> None:
    """Measure each server once a round, so that what happens to the machine meanwhile happens to all alike.

    Each is started for it anew. Who begins changes from round to round. One that fails is not tried again.
    Those that take no part are left out.
    """
    servers = [installed for installed in servers if takes_part(installed.server, workload)]
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
    is_room = workload.app is not App.ECHO
    path = frames.ROOM_PATH if is_room else frames.ECHO_PATH
    request = frames.request(port, deflate=workload.offers_deflate, path=path)
    sent = [message.frame() for message in workload.messages]
    check = check_room if is_room else check_echo
    with (
        tempfile.TemporaryDirectory() as data,
        running(
            installed.command(workload.app, port, data), port, cores.server, installed.places["apps"]
        ) as server,
    ):
        compression = check(port, request, workload.messages)
        with loading(load, port, cores.load, request, sent) as driven:
            return compression, workload.measure(server, driven, plan)
