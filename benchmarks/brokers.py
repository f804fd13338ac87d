"""make bench-brokers: what a publication, and a delivery, costs through each broker."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import frames
from benchmarks.installing import compiled
from benchmarks.load import loading
from benchmarks.processes import Cores, free_port, running
from benchmarks.rooms import LARGE
from benchmarks.workload import Plan
from roomcast.rooms.brokers import broker_from_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from benchmarks.processes import ServerProcess
    from roomcast.rooms import Broker, Position

PUBLISHERS = 1, 10, 100
PAYLOAD = 200
"""Bytes of a publication."""
PACE = 500
"""Publications a second where it is measured how long each takes."""
SERVER_PATH = "/usr/local/bin:/usr/bin:/usr/sbin:/usr/local/sbin"


class Place(NamedTuple):
    """Where a broker is: its URL, and the server behind it, if there is one."""

    url: str
    server: ServerProcess | None = None


@dataclass
class Result:
    """What was measured of one broker.

    Attributes:
        rates: publications a second, by how many publish at a time.
        node: CPU of the node for a publication, in microseconds, by the same.
        broker: that of the broker's server.
        median: seconds from a publish to its delivery on another node, in the middle.
        tail: the same, longer than 99 of 100.
        delivery: CPU of a node of the chat for a delivery in a room of 1,000, in microseconds.
    """

    rates: dict[int, float] = field(default_factory=dict)
    node: dict[int, float] = field(default_factory=dict)
    broker: dict[int, float] = field(default_factory=dict)
    median: float = 0.0
    tail: float = 0.0
    delivery: float = 0.0


@contextmanager
def memory(_folder: Path) -> Iterator[Place]:
    """Rooms in this process."""
    yield Place("memory://")


@contextmanager
def sqlite(folder: Path) -> Iterator[Place]:
    """Rooms in a file."""
    yield Place(f"sqlite:///{folder / 'rooms.db'}")


@contextmanager
def redis(folder: Path) -> Iterator[Place]:
    """Rooms in a Redis of their own, with an append-only file, as it should be run."""
    port = free_port()
    program = shutil.which("redis-server", path=SERVER_PATH) or "redis-server"
    command = [program, "--port", str(port), "--save", "", "--appendonly", "yes", "--dir", str(folder)]
    with running(command, port, 0, str(folder)) as server:
        yield Place(f"redis://127.0.0.1:{port}", server)


@contextmanager
def nats(folder: Path) -> Iterator[Place]:
    """Rooms in a NATS of their own, with JetStream in files."""
    port = free_port()
    program = shutil.which("nats-server", path=SERVER_PATH) or "nats-server"
    command = [program, "--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", str(folder)]
    with running(command, port, 0, str(folder)) as server:
        yield Place(f"nats://127.0.0.1:{port}", server)


BROKERS: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "memory": memory,
    "sqlite": sqlite,
    "redis": redis,
    "nats": nats,
}


async def measure(place: Place, seconds: float) -> Result:
    """Measure one broker."""
    result = Result()
    broker = broker_from_url(place.url)
    arrivals: list[float] = []

    def note(_room: str, _position: Position | None, payload: bytes) -> None:
        arrivals.append(time.perf_counter() - float(payload.rstrip(b"x")))

    await broker.open(note)
    for publishers in PUBLISHERS:
        await _publish(broker, publishers, seconds / 5, result, None)  # warms up
        await _publish(broker, publishers, seconds, result, place.server)
    other = broker_from_url(place.url) if broker.many_processes else broker
    if other is not broker:
        await other.open(note)
    await other.subscribe("latency")
    await _publish_in_pace(broker, seconds)
    async with asyncio.timeout(10):
        while len(arrivals) < int(seconds * PACE):  # noqa: ASYNC110 - what is waited for is state
            await asyncio.sleep(0.01)
    arrivals.sort()
    result.median, result.tail = arrivals[len(arrivals) // 2], arrivals[len(arrivals) * 99 // 100]
    for one in {broker, other}:
        await one.close()
    return result


def delivery(url: str, seconds: float) -> float:
    """Measure what a delivery in a room of 1,000 costs a node of the chat, in microseconds of its CPU."""
    cores, port = Cores.of_this_machine(), free_port()
    command = [
        *(sys.executable, "-m", "roomcast", "serve", "--port", str(port), "--broker", url),
        *("--log-level", "warning", "--no-limits"),
    ]
    request = frames.request(port, deflate=False, path=frames.ROOM_PATH)
    sent = [message.frame() for message in LARGE.messages]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(command, port, cores.server, folder) as server,
        loading(compiled("load"), port, cores.load, request, sent) as load,
    ):
        return LARGE.measure(server, load, Plan(seconds=seconds, idle_connections=0))["cpu_us"]


async def _publish(
    broker: Broker, publishers: int, seconds: float, result: Result, server: ServerProcess | None
) -> None:
    payload, end, published = bytes(PAYLOAD), time.perf_counter() + seconds, 0

    async def publish(room: str) -> None:
        nonlocal published
        while time.perf_counter() < end:
            await broker.publish(room, payload)
            published += 1
            if not broker.many_processes:
                await asyncio.sleep(0)

    begun, cpu = time.perf_counter(), time.process_time()
    server_cpu = server.usage().cpu_seconds if server else 0.0
    await asyncio.gather(*(publish(f"room {number % 10}") for number in range(publishers)))
    result.rates[publishers] = published / (time.perf_counter() - begun)
    result.node[publishers] = (time.process_time() - cpu) / published * 1e6
    if server:
        result.broker[publishers] = (server.usage().cpu_seconds - server_cpu) / published * 1e6


async def _publish_in_pace(broker: Broker, seconds: float) -> None:
    begun = time.perf_counter()
    for number in range(int(seconds * PACE)):
        await asyncio.sleep(max(0.0, begun + number / PACE - time.perf_counter()))
        await broker.publish("latency", b"%.9f" % time.perf_counter() + b"x" * PAYLOAD)


def table(results: dict[str, Result]) -> Table:
    """Give the results as a table."""
    columns = *(f"{count} publishing" for count in PUBLISHERS), "p50", "p99", "a delivery, room of 1,000"
    shown = Table("broker", *columns, title="Brokers")
    for name, result in results.items():
        cells = [
            f"{result.rates[count]:,.0f}/s\n{result.node[count]:.1f} µs node"
            + (f"\n{result.broker[count]:.1f} µs server" if result.broker else "")
            for count in PUBLISHERS
        ]
        times = f"{result.median * 1e3:.2f} ms", f"{result.tail * 1e3:.2f} ms"
        shown.add_row(name, *cells, *times, f"{result.delivery:.2f} µs node")
    return shown


def main() -> None:
    """Measure the brokers that the command line names, and print the table."""
    parser = argparse.ArgumentParser(prog="make bench-brokers", description=main.__doc__)
    parser.add_argument("--brokers", default=",".join(BROKERS), help="which, with commas between")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each is measured")
    chosen = parser.parse_args()
    results: dict[str, Result] = {}
    for name in chosen.brokers.split(","):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            place = stack.enter_context(BROKERS[name](folder))
            results[name] = uvloop.run(measure(place, chosen.seconds))
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            place = stack.enter_context(BROKERS[name](folder))
            results[name].delivery = delivery(place.url, chosen.seconds)
    Console(width=110).print(table(results))


if __name__ == "__main__":
    main()
