"""The workloads: echoes, connections that come, and connections that stay. Those of rooms are in rooms.py."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.frames import chat, plain
from benchmarks.processes import Failed
from benchmarks.rooms import ROOMS
from benchmarks.servers import App
from benchmarks.workload import CPU, LOAD, MEDIAN, RATE, TAIL, Metric

if TYPE_CHECKING:
    from benchmarks.frames import Message
    from benchmarks.load import Load
    from benchmarks.processes import ServerProcess
    from benchmarks.workload import Plan, Workload


@dataclass(frozen=True)
class Echo:
    """Each connection has one message in flight, which the app sends back as it came."""

    name: str
    title: str
    messages: tuple[Message, ...]
    connections: int
    is_brief: bool = False
    offers_deflate: bool = False
    app: App = App.ECHO
    left_out: frozenset[str] = frozenset()
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
    offers_deflate: bool = False
    app: App = App.ECHO
    left_out: frozenset[str] = frozenset()
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
    offers_deflate: bool = False
    app: App = App.ECHO
    left_out: frozenset[str] = frozenset()
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
    Echo(
        "echo-deflate",
        "Echo of 1 KB of JSON, deflated",
        chat(64, 1000),
        connections=100,
        is_brief=True,
        offers_deflate=True,
    ),
    Idle(),
    Handshakes(),
    *ROOMS,
)
