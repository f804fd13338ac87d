"""make bench: installs the servers, measures them in turn, and prints the table."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import servers
from benchmarks.installing import HERE, ROOT, Unavailable, compiled, install, version
from benchmarks.machine import describe
from benchmarks.measuring import Installed, measure, takes_part
from benchmarks.picture import pictures
from benchmarks.processes import Failed, allow_many_files
from benchmarks.results import Results
from benchmarks.table import table
from benchmarks.workload import Plan
from benchmarks.workloads import WORKLOADS

RESULTS = HERE / "results.json"
PICTURE = ROOT / "docs" / "performance.svg"

WHOLE = Plan(seconds=1.5, idle_connections=5000)
QUICK = Plan(seconds=0.6, idle_connections=2000)

VARIABLE = ("servers", "workloads", "rounds", "seconds")
"""The options that say what is measured, and not where to write it."""


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=f"Without options, also writes {RESULTS.relative_to(ROOT)}, and pictures into docs.",
    )
    known = ",".join(server.name for server in servers.SERVERS)
    parser.add_argument("--servers", metavar="A,B", help=f"only these, and ours: of {known}")
    known = ",".join(workload.name for workload in WORKLOADS)
    parser.add_argument("--workloads", metavar="A,B", help=f"only these: of {known}")
    parser.add_argument("--rounds", type=int, help="how often each is measured (3)")
    parser.add_argument("--seconds", type=float, help=f"how long each time ({WHOLE.seconds})")
    parser.add_argument("--quick", action="store_true", help="one short round of the most telling workloads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the picture there, that of rooms beside it")
    parser.add_argument("--show", type=Path, metavar="FILE", help="measure nothing: show results written before")
    return parser.parse_args()


def main() -> int:
    """Do what the command line says; 1 if the load was in the way of a server that runs the ASGI app."""
    chosen = options()
    if chosen.show:
        results = Results.read(chosen.show)
    else:
        results = run(chosen)
        if len(sys.argv) == 1:
            chosen.json, chosen.svg = RESULTS, PICTURE
    print(table(results))
    if chosen.json:
        results.write(chosen.json)
    if chosen.svg:
        for path, picture in pictures(results, chosen.svg).items():
            path.write_text(picture)
    return int(results.is_spoiled())


def run(chosen: argparse.Namespace) -> Results:
    """Install and measure what was chosen."""
    names = [server.name for server in servers.SERVERS]
    tried = servers.by_name(_of(chosen.servers, names, "server"))
    brief = [workload.name for workload in WORKLOADS if workload.is_brief or not chosen.quick]
    asked = _of(chosen.workloads, [workload.name for workload in WORKLOADS], "workload", brief)
    plan = QUICK if chosen.quick else WHOLE
    rounds = chosen.rounds or (1 if chosen.quick else 3)
    results = Results(
        date=datetime.now(tz=UTC).date().isoformat(),
        machine=describe(),
        command=_command(chosen),
        rounds=rounds,
        seconds=chosen.seconds or plan.seconds,
    )
    plan = replace(plan, seconds=results.seconds).within(allow_many_files())
    installed = []
    for server in tried:
        print(f"Installing {server.title}", file=sys.stderr)
        try:
            places = install(server)
            results.versions[server.name] = version(server, places)
            installed.append(Installed(server, places))
        except Unavailable as why:
            for workload in WORKLOADS:
                if workload.name in asked and takes_part(server, workload):
                    results.outcome(workload, server).failure = f"cannot be installed: {why}"
    for workload in WORKLOADS:
        if workload.name in asked:
            measure(workload, installed, compiled("load"), rounds, plan, results)
    return results


def _command(chosen: argparse.Namespace) -> str:
    """Say how this measurement can be made again; where it was written to is nobody's business."""
    given = [f"--{name} {value}" for name in VARIABLE if (value := getattr(chosen, name))]
    given += ["--quick"] if chosen.quick else []
    return shlex.join(["make", "bench", *([f"ARGS={' '.join(given)}"] if given else [])])


def _of(given: str | None, known: list[str], what: str, default: list[str] | None = None) -> list[str]:
    if given is None:
        return known if default is None else default
    names = given.split(",")
    for name in names:
        if name not in known:
            sys.exit(f"There is no {what} {name!r}: there are {', '.join(known)}")
    return names


def _stop(_number: int, _frame: object) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.exit(main())
    except (Failed, Unavailable) as error:
        sys.exit(f"make bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
