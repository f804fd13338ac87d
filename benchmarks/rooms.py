"""The workloads of rooms: what is published reaches every member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.frames import ECHO_PATH, ROOM_PATH, request, said
from benchmarks.load import Traffic
from benchmarks.processes import Failed
from benchmarks.servers import App
from benchmarks.workload import CPU, LOAD, MEDIAN, RATE, TAIL, Metric

if TYPE_CHECKING:
    from benchmarks.frames import Message
    from benchmarks.load import Load
    from benchmarks.processes import ServerProcess
    from benchmarks.workload import Plan, Workload

SLOW = frozenset({"uvicorn-wsproto", "hypercorn", "daphne"})
"""Servers that others of their kind stand for, where a measurement takes long."""

OPENING = 90.0
"""For how many seconds rooms may fill."""

SIZE = Metric("bytes_each", "bytes each", is_absolute=True)
"""What a delivery is on the wire: servers add what they know of a message to what the member said."""


@dataclass(frozen=True)
class Room:
    """One room, with a number of publications in flight: a new one when one has reached all members."""

    name: str
    title: str
    members: int
    in_flight: int
    publishers: int = 1
    messages: tuple[Message, ...] = said(64)
    is_brief: bool = True
    offers_deflate: bool = False
    app: App = App.ROOMS
    left_out: frozenset[str] = frozenset()
    metrics: tuple[Metric, ...] = (CPU, RATE, MEDIAN, TAIL, SIZE)

    def measure(self, server: ServerProcess, load: Load, plan: Plan) -> dict[str, float]:
        """Warm up, then count: nothing is in flight when the server's usage is read."""
        fill(load, 1, self.members)
        traffic = Traffic(self.in_flight, publishers=self.publishers)
        published(server, load, traffic, plan.seconds / 4)
        return published(server, load, traffic, plan.seconds)


@dataclass(frozen=True)
class Deflated:
    """One room whose members have agreed on permessage-deflate, beside one whose members have not."""

    name: str = "room-deflate"
    title: str = "Room of 1,000, 1 KB of JSON, deflated"
    members: int = 1000
    messages: tuple[Message, ...] = said(1000, count=64)
    is_brief: bool = False
    offers_deflate: bool = True
    app: App = App.ROOMS
    left_out: frozenset[str] = SLOW | {"roomcast-sqlite", "roomcast-foreign"}
    metrics: tuple[Metric, ...] = (
        CPU,
        Metric("times_plain", "to not deflated", digits=2, is_absolute=True),
        RATE,
        SIZE,
    )

    def measure(self, server: ServerProcess, load: Load, plan: Plan) -> dict[str, float]:
        """Measure the one room after the other."""
        found = {}
        for room, is_deflated in enumerate((False, True)):
            load.use(request(server.port, deflate=is_deflated, path=ROOM_PATH))
            fill(load, 1, self.members)
            traffic = Traffic(1, first=room)
            published(server, load, traffic, plan.seconds / 4)
            found[is_deflated] = published(server, load, traffic, plan.seconds)
        plain, deflated = found[False], found[True]
        times = deflated["cpu_us"] / plain["cpu_us"]
        return {
            **deflated,
            "times_plain": times,
            "plain_cpu_us": plain["cpu_us"],
            "plain_bytes": plain["bytes_each"],
        }


@dataclass(frozen=True)
class Deaf:
    """A room of which one member reads nothing, beside the same room before that member came."""

    name: str = "room-deaf"
    title: str = "One of 51 does not read, 4 KB"
    members: int = 50
    in_flight: int = 8
    until_full: int = 920
    """So many messages are more than the kernel keeps for a connection that nobody reads: 4 MB."""
    messages: tuple[Message, ...] = said(4000)
    is_brief: bool = False
    offers_deflate: bool = False
    app: App = App.ROOMS
    left_out: frozenset[str] = SLOW | {"roomcast-sqlite"}
    metrics: tuple[Metric, ...] = (
        RATE,
        Metric("to_without", "to without it", more_is_better=True, digits=2, is_absolute=True),
        Metric("grew_mb", "MB more", digits=1, is_absolute=True),
        CPU,
    )

    def measure(self, server: ServerProcess, load: Load, plan: Plan) -> dict[str, float]:
        """Measure without it, then with it. A room that then stands still delivers nothing in the end."""
        fill(load, 1, self.members)
        traffic = Traffic(self.in_flight, publishers=self.in_flight, patience=3.0)
        published(server, load, traffic, plan.seconds / 4)
        without = published(server, load, traffic, plan.seconds)
        before = server.begin_peak()
        load.deaf(0)
        done = load.publish(traffic, 0, self.until_full)
        if not done["undelivered"]:
            done = load.publish(traffic, plan.seconds)
        rate = 0.0 if done["undelivered"] else done["deliveries"] / done["seconds"]
        return {
            **without,
            "per_second": rate,
            "to_without": rate / without["per_second"],
            "without_per_second": without["per_second"],
            "grew_mb": (server.usage().peak - before) / 1e6,
        }


@dataclass(frozen=True)
class Pairs:
    """Very many rooms of two members, beside an echo: as many publications in flight as there are echoes."""

    name: str = "pairs"
    title: str = "10,000 rooms of 2"
    in_flight: int = 100
    messages: tuple[Message, ...] = said(64)
    is_brief: bool = False
    offers_deflate: bool = False
    app: App = App.ROOMS
    left_out: frozenset[str] = SLOW | {"granian", "roomcast-foreign", "roomcast-pure", "roomcast-sqlite"}
    metrics: tuple[Metric, ...] = (
        CPU,
        Metric("to_echo", "to an echo", digits=2, is_absolute=True),
        RATE,
        TAIL,
    )

    def measure(self, server: ServerProcess, load: Load, plan: Plan) -> dict[str, float]:
        """Measure the rooms, then an echo on connections of its own."""
        fill(load, plan.pairs, 2)
        traffic = Traffic(self.in_flight, rooms=plan.pairs, publishers=2)
        published(server, load, traffic, plan.seconds / 2)
        found = published(server, load, traffic, plan.seconds)
        load.use(request(server.port, deflate=False, path=ECHO_PATH))
        load.open(self.in_flight)
        load.echo(plan.seconds / 4)
        before = server.usage()
        echoes = load.echo(plan.seconds)["messages"]
        echo = (server.usage().cpu_seconds - before.cpu_seconds) / echoes * 1e6
        return {**found, "to_echo": found["cpu_us"] / echo, "echo_cpu_us": echo, "rooms": plan.pairs}


@dataclass(frozen=True)
class Crowd:
    """A very large room, and how long the server answers nobody else while it delivers to that."""

    name: str = "crowd"
    title: str = "An echo beside a room of 10,000"
    messages: tuple[Message, ...] = said(64)
    is_brief: bool = False
    offers_deflate: bool = False
    app: App = App.CROWD
    left_out: frozenset[str] = SLOW | {"granian", "roomcast-pure"}
    metrics: tuple[Metric, ...] = (
        Metric("echo_max_ms", "longest ms", digits=1),
        Metric("echo_usual_max_ms", "usually ms", digits=1),
        CPU,
    )

    def measure(self, server: ServerProcess, load: Load, plan: Plan) -> dict[str, float]:
        """Have one publication and one echo in flight at any time."""
        fill(load, 1, plan.crowd)
        load.use(request(server.port, deflate=False, path=ECHO_PATH))
        load.open(1)
        traffic = Traffic(1, publishers=2, beside_an_echo=True)
        published(server, load, traffic, plan.seconds / 4)
        return published(server, load, traffic, plan.seconds * 2)


def fill(load: Load, rooms: int, members: int) -> None:
    """Open rooms with all their members.

    Raises:
        Failed: the server did not let them in in time.
    """
    opened = load.rooms(rooms, members, OPENING)
    if opened < rooms:
        raise Failed(f"opened only {opened} of {rooms} rooms of {members:,} in {OPENING:.0f} seconds")


def published(server: ServerProcess, load: Load, traffic: Traffic, seconds: float) -> dict[str, float]:
    """Publish for some time, and say what a delivery cost.

    Raises:
        Failed: a publication did not come to all members.
    """
    before = server.usage()
    done = load.publish(traffic, seconds)
    spent = server.usage().cpu_seconds - before.cpu_seconds
    if done["undelivered"]:
        raise Failed(f"stood still, with {done['undelivered']:.0f} deliveries to make")
    deliveries = done["deliveries"]
    return {
        "cpu_us": spent / deliveries * 1e6,
        "per_second": deliveries / done["seconds"],
        "p50_us": done["p50_us"],
        "p99_us": done["p99_us"],
        "last_p50_us": done["last_p50_us"],
        "last_p99_us": done["last_p99_us"],
        "bytes_each": done["bytes"] / deliveries,
        LOAD: done["cpu_seconds"] / deliveries * 1e6,
        "publications": done["publications"],
        "echoes": done["echoes"],
        "echo_max_ms": done["echo_max_us"] / 1e3,
        "echo_usual_max_ms": done["echo_usual_max_us"] / 1e3,
    }


LARGE = Room("room-1000", "Room of 1,000, one in flight", members=1000, in_flight=1, is_brief=False)

ROOMS: tuple[Workload, ...] = (
    LARGE,
    Room("room-100", "Room of 100, eight in flight", members=100, in_flight=8, publishers=8),
    Deflated(),
    Deaf(),
    Pairs(),
    Crowd(),
)
