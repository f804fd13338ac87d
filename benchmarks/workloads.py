"""The workloads: what is asked of a server, and what is measured.

A workload is a dataclass with `name`, `title`, `metrics`, what its clients send, and `measure`. To add one, write
it, give the load a command for it if it needs one, and put it into `WORKLOADS`. `measure` gets a server that was
started for it alone, with no connection yet; it returns a number for each metric, and others worth keeping.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmarks.frames import Message, chat, plain
from benchmarks.processes import Failed

if TYPE_CHECKING:
    from benchmarks.load import Load
    from benchmarks.processes import ServerProcess


@dataclass(frozen=True)
class Metric:
    """One number that a workload finds.

    Attributes:
        key: what the results call it.
        title: what the table calls it.
        more_is_better: whether more of it is better.
        digits: how many of them the table shows behind the point.
        is_the_loads_too: whether a load that is slower than the server spoils it.
    """

    key: str
    title: str
    more_is_better: bool = False
    digits: int = 0
    is_the_loads_too: bool = False


@dataclass(frozen=True)
class Plan:
    """How long one measurement takes, and how large it is.

    Attributes:
        seconds: how long a server is kept busy.
        idle_connections: how many connections do nothing.
        max_handshakes: how many connections are opened at the most.
    """

    seconds: float
    idle_connections: int
    max_handshakes: int = 20000


class Workload(Protocol):
    """Something to ask of a server."""

    @property
    def name(self) -> str:
        """What the command line and the results call it."""

    @property
    def title(self) -> str:
        """What the table and the picture call it."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the clients send, in turn."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What it finds, the most telling first."""

    @property
    def is_brief(self) -> bool:
        """Whether a quick run has it, too."""

    def measure(self, server: ServerProcess, load: Load, plan: Plan) -> dict[str, float]:
        """Measure a server.

        Raises:
            Failed: it did not do what it should.
        """


CPU = Metric("cpu_us", "CPU µs", digits=1)
RATE = Metric("per_second", "per second", more_is_better=True, is_the_loads_too=True)
MEDIAN = Metric("p50_us", "p50 µs", is_the_loads_too=True)
TAIL = Metric("p99_us", "p99 µs", is_the_loads_too=True)
LOAD = "load_us"
"""Not in the table: what the load spent. Where that is not less than the server's, the load was in the way."""


@dataclass(frozen=True)
class Echo:
    """Each connection has one message in flight, which the app sends back as it came."""

    name: str
    title: str
    messages: tuple[Message, ...]
    connections: int
    is_brief: bool = False
    metrics: tuple[Metric, ...] = (CPU, RATE, MEDIAN, TAIL)

    def measure(self, server: ServerProcess, load: Load, plan: Plan) -> dict[str, float]:
        """Warm up, then count: nothing is in flight when the server's usage is read."""
        load.open(self.connections)
        load.echo(min(0.4, plan.seconds / 2))
        before = server.usage()
        done = load.echo(plan.seconds)
        spent = server.usage().cpu_seconds - before.cpu_seconds
        messages = done["messages"]
        return {
            "cpu_us": spent / messages * 1e6,
            "per_second": messages / done["seconds"],
            "p50_us": done["p50_us"],
            "p99_us": done["p99_us"],
            LOAD: done["cpu_seconds"] / messages * 1e6,
            "bytes_of_a_reply": done["bytes"] / messages,
        }


@dataclass(frozen=True)
class Handshakes:
    """Connections are opened, one batch after the other, and stay."""

    name: str = "handshakes"
    title: str = "Handshakes"
    messages: tuple[Message, ...] = plain(64, is_text=True)
    is_brief: bool = True
    metrics: tuple[Metric, ...] = (RATE, CPU)

    def measure(self, server: ServerProcess, load: Load, plan: Plan) -> dict[str, float]:
        """Open some, then count."""
        load.open(200)
        before = server.usage()
        done = load.open(plan.max_handshakes, plan.seconds)
        spent = server.usage().cpu_seconds - before.cpu_seconds
        return {
            "per_second": done["opened"] / done["seconds"],
            "cpu_us": spent / done["opened"] * 1e6,
            LOAD: done["cpu_seconds"] / done["opened"] * 1e6,
        }


@dataclass(frozen=True)
class Idle:
    """Connections are open, with their apps waiting, and nothing happens."""

    name: str = "idle"
    title: str = "Memory of an idle connection"
    messages: tuple[Message, ...] = plain(64, is_text=True)
    is_brief: bool = True
    metrics: tuple[Metric, ...] = (Metric("kilobytes", "KB each", digits=1),)

    def measure(self, server: ServerProcess, load: Load, plan: Plan) -> dict[str, float]:
        """Open some, so that all is loaded that will be; then many more, and see what those take."""
        load.open(500)
        before = _settled(server)
        opened = load.open(plan.idle_connections)["opened"]
        if opened < plan.idle_connections:
            raise Failed(f"opened only {opened:.0f} connections in a minute")
        return {"kilobytes": (_settled(server) - before) / opened / 1024}


def _settled(server: ServerProcess) -> int:
    """Give a server's memory, once it has stopped to work: two seconds later at the latest."""
    deadline = time.monotonic() + 2
    usage = server.usage()
    while time.monotonic() < deadline:
        time.sleep(0.1)
        earlier, usage = usage, server.usage()
        if usage.cpu_seconds - earlier.cpu_seconds < 0.01 and usage.resident == earlier.resident:
            break
    return usage.resident


WORKLOADS: tuple[Workload, ...] = (
    Echo("echo-64", "Echo of 64 bytes", plain(64, is_text=True), connections=100, is_brief=True),
    Echo("echo-64k-text", "Echo of 64 KB, text", plain(1 << 16, is_text=True), connections=16),
    Echo("echo-64k-binary", "Echo of 64 KB, binary", plain(1 << 16, is_text=False), connections=16),
    Echo("echo-1m-text", "Echo of 1 MB, text", plain(1 << 20, is_text=True), connections=4),
    Echo("echo-1m-binary", "Echo of 1 MB, binary", plain(1 << 20, is_text=False), connections=4),
    Echo("echo-deflate", "Echo of 1 KB of JSON, deflated", chat(64, 1000), connections=100, is_brief=True),
    Idle(),
    Handshakes(),
)
