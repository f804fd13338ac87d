"""What many nodes take: measured here, simulated, and on paper for a million. `make scale`, see docs/scale.md."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.elsewhere import measure_elsewhere
from benchmarks.fleet import Fleet, fleet
from benchmarks.machine import describe
from benchmarks.model import Costs, Demand, broker_seconds, node_seconds
from benchmarks.processes import Failed, allow_many_files
from benchmarks.simulation import Site, simulate
from benchmarks.spread import Found, Spread

RESULTS = Path(__file__).parent / "scale.json"

ROOMS = 40
MEMBERS = 48
"""Members of a room in what the simulation is held against: as many on each of 2, 4 and 8 nodes."""
RATE = 200.0
"""Publications a second there: a third of what two cores can do."""
NODES = (2, 4, 8)
CROWD = 96
"""Members of a room by which is measured what a delivery costs."""
APART = 4
"""Nodes with one member each, by which is measured what a node costs that a publication comes to."""
IDLE = 4_000
"""Connections that do nothing, by which is measured what one costs."""

BUSY = 0.6
"""How much of a core is to be used: the rest is for peaks, and for a node that has died."""
MEMORY = 4 << 30
"""Bytes of memory for each core of a node."""
PAPER = tuple(Demand(members, 1e6 / members, 1_000_000) for members in (2, 10, 100, 1_000, 10_000))
"""A million connections and a million deliveries a second, in rooms of different sizes."""


def main() -> int:
    """Measure if asked to, and print the tables."""
    parser = argparse.ArgumentParser(
        prog="make scale", description="Without options, shows what was measured before."
    )
    parser.add_argument("--measure", action="store_true", help=f"measure, for 3 minutes, and write {RESULTS.name}")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each run takes (8)")
    chosen = parser.parse_args()
    if chosen.measure:
        allow_many_files()
        RESULTS.write_text(json.dumps(measure(chosen.seconds), indent=1) + "\n")
    results = json.loads(RESULTS.read_text())
    costs, busy = Costs(**results["costs"]), Costs(**results["busy"])
    print(f"{results['date']}, {results['machine']}\n")
    print("            at the rate   without a pause")
    print(
        *(f"{name:<11} {cost:11.2f} {results['busy'][name]:17.2f}" for name, cost in asdict(costs).items()),
        sep="\n",
    )
    print("", held(results, costs), paper(busy), elsewhere(results["elsewhere"]), sep="\n\n")
    return 0


def measure(seconds: float) -> dict[str, Any]:
    """Measure what one of each thing costs, and then what a site of 2, 4 and 8 nodes does.

    What one thing costs comes from differences: between rooms of one and of many on one node, and between one
    member on one node and one on each of several.
    """
    alone, crowd, apart = _run(1, 1, seconds), _run(1, CROWD, seconds), _run(APART, APART, seconds)
    deliver = (crowd["node_us"] - alone["node_us"]) / (CROWD - 1)
    receive = (apart["node_us"] - alone["node_us"]) / (APART - 1) - deliver
    copy = (apart["broker_us"] - alone["broker_us"]) / (APART - 1)
    costs = Costs(
        publish=alone["node_us"] - receive - deliver,
        receive=receive,
        deliver=deliver,
        carry=alone["broker_us"] - copy,
        copy=copy,
        **_idle(seconds),
    )
    print("publications elsewhere", file=sys.stderr, flush=True)
    elsewhere = measure_elsewhere()
    elsewhere["broker_us_apart"] = measure_elsewhere(APART)["broker_us"]
    return {
        "date": datetime.now(tz=UTC).date().isoformat(),
        "machine": describe(),
        "rate": RATE,
        "rooms": ROOMS,
        "members": MEMBERS,
        "costs": asdict(costs),
        "busy": asdict(_busy(costs, elsewhere)),
        "elsewhere": elsewhere,
        "measured": {str(nodes): _run(nodes, MEMBERS, seconds) for nodes in NODES},
    }


def _busy(costs: Costs, told: dict[str, float]) -> Costs:
    """Give what one of each thing costs processes that always have the next to do.

    A publication then shares a turn of the event loop with others, and a write to each connection.
    """
    receive = told["busy_us"] - costs.deliver
    copy = (told["broker_us_apart"] - told["broker_us"]) / (APART - 1)
    carry = told["broker_us"] - copy
    return replace(costs, publish=told["publisher_us"], receive=receive, carry=carry, copy=copy)


def _run(nodes: int, members: int, seconds: float) -> dict[str, float]:
    """Publish in rooms on so many nodes, and say what a publication cost."""
    print(f"{nodes} nodes, {ROOMS} rooms of {members}", file=sys.stderr, flush=True)
    with fleet(nodes) as started, closing(Spread(started.ports, ROOMS, members)) as load:
        load.publish(RATE, seconds / 4)
        before = started.usage()
        found = load.publish(RATE, seconds)
        after = started.usage()
    return _told(found, *(after[which].cpu_seconds - before[which].cpu_seconds for which in (0, 1)))


def _told(found: Found, nodes: float, broker: float) -> dict[str, float]:
    return {
        "node_us": nodes / found.publications * 1e6,
        "broker_us": broker / found.publications * 1e6,
        "read_us": found.cpu_seconds / found.deliveries * 1e6,
        "p50_ms": found.latency(0.5) * 1e3,
        "p99_ms": found.latency(0.99) * 1e3,
        "publications": found.publications,
        "deliveries": found.deliveries,
    }


def _idle(seconds: float) -> dict[str, float]:
    """Measure connections that are in a room each, and do nothing: at least one refresh of their presence long."""
    print(f"{IDLE} idle connections", file=sys.stderr, flush=True)
    with fleet(1) as started:
        few = closing(Spread(started.ports, 100, 1))
        with few:
            before = started.usage()
            with closing(Spread(started.ports, IDLE // 4, 4)) as many:
                full = started.usage()
                cpu = _cpu_of_a_while(started, many, max(30.0, seconds * 3))
    return {
        "idle": cpu[0] / IDLE * 1e6,
        "refresh": cpu[1] / IDLE * 1e6,
        "connection": (full[0].resident - before[0].resident) / IDLE,
        "presence": (full[1].resident - before[1].resident) / IDLE,
    }


def _cpu_of_a_while(started: Fleet, load: Spread, seconds: float) -> tuple[float, float]:
    """Give what nodes and broker take a second, while nothing happens."""
    before = started.usage()
    load.rest(seconds)
    after = started.usage()
    return (
        (after[0].cpu_seconds - before[0].cpu_seconds) / seconds,
        (after[1].cpu_seconds - before[1].cpu_seconds) / seconds,
    )


def held(results: dict[str, Any], costs: Costs) -> str:
    """Hold the simulation against what was measured."""
    lines = ["nodes  CPU of nodes, us     CPU of Redis, us     p50, ms            p99, ms"]
    lines += ["       measured simulated   measured simulated   measured simulated measured simulated"]
    for nodes, measured in results["measured"].items():
        site = Site(
            int(nodes), results["rooms"], results["members"], results["rate"], cores=2, read=measured["read_us"]
        )
        outcome = simulate(site, costs, 10.0)
        count = measured["publications"]
        each = 1e6 / (len(outcome.latencies) / min(int(nodes), results["members"]))
        lines.append(
            f"{nodes:>5}  {measured['node_us']:8.0f} {outcome.nodes * each:9.0f}   "
            f"{measured['broker_us']:8.0f} {outcome.broker * each:9.0f}   "
            f"{measured['p50_ms']:8.2f} {outcome.latency(0.5) * 1e3:9.2f} "
            f"{measured['p99_ms']:8.2f} {outcome.latency(0.99) * 1e3:9.2f}   ({count} publications)"
        )
    return "\n".join(lines)


def elsewhere(told: dict[str, float]) -> str:
    """Say what a node spends on what it has no members in."""
    return (
        f"{told['publications']:,.0f} publications elsewhere in {told['seconds']:.1f} s: "
        f"a node without members there takes {told['idle_percent']:.2f} % of a core.\n"
        f"A publication takes {told['publisher_us']:.0f} us of the publisher, {told['broker_us']:.0f} us of "
        f"Redis, {told['busy_us']:.0f} us of a node with a member"
    )


def paper(costs: Costs) -> str:
    """Say what a million connections and a million deliveries a second take, on paper."""
    lines = ["room    publications/s  nodes  of CPU  of memory  nodes a room  Redis, cores  copies/s"]
    for demand in PAPER:
        nodes, by_cpu, by_memory = nodes_for(costs, demand)
        shards = broker_seconds(costs, demand, nodes) / BUSY
        spread = demand.nodes_of_a_room(nodes)
        lines.append(
            f"{demand.members:>6,}  {demand.publications:>14,.0f}  {nodes:>5}  {by_cpu:>6}  {by_memory:>9}  "
            f"{spread:>12.1f}  {shards:>12.1f}  {demand.publications * spread:>8,.0f}"
        )
    return "\n".join(lines)


def nodes_for(costs: Costs, demand: Demand) -> tuple[int, int, int]:
    """Give how many nodes of one core a demand takes, and how many for its CPU and its memory alone."""
    by_memory = -int(-demand.connections * costs.connection // (MEMORY * BUSY))
    by_cpu = 1
    while node_seconds(costs, demand, max(by_cpu, by_memory)) > max(by_cpu, by_memory) * BUSY:
        by_cpu = max(by_cpu, by_memory) + 1
    return max(by_cpu, by_memory), by_cpu, by_memory


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"make scale: {error}")
