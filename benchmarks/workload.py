"""What a workload is: something that is asked of a server, and the numbers that it finds.

A workload is a dataclass with what `Workload` lists. To add one, write it, give the load a command for it if it
needs one, and put it into `WORKLOADS`. `measure` gets a server that was started for it alone, with no connection
yet; it returns a number for each metric, and others worth keeping.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from benchmarks.frames import Message
    from benchmarks.load import Load
    from benchmarks.processes import ServerProcess
    from benchmarks.servers import App


@dataclass(frozen=True)
class Metric:
    """One number that a workload finds.

    Attributes:
        key: what the results call it.
        title: what the table calls it.
        more_is_better: whether more of it is better.
        digits: how many of them the table shows behind the point.
        is_the_loads_too: whether a load that is slower than the server spoils it.
        is_absolute: whether it says enough by itself: nothing is told of how many times ours it is.
    """

    key: str
    title: str
    more_is_better: bool = False
    digits: int = 0
    is_the_loads_too: bool = False
    is_absolute: bool = False


@dataclass(frozen=True)
class Plan:
    """How long one measurement takes, and how large it is.

    Attributes:
        seconds: how long a server is kept busy.
        idle_connections: how many connections do nothing.
        max_handshakes: how many connections are opened at the most.
        pairs: how many rooms of two members there are, at the most.
        crowd: how many members a very large room has.
    """

    seconds: float
    idle_connections: int
    max_handshakes: int = 20000
    pairs: int = 10000
    crowd: int = 10000

    def within(self, files: int) -> Plan:
        """Give what can be done of it by processes that may have so many files: servers have some of their own."""
        connections = files - 1000
        return replace(
            self,
            idle_connections=min(self.idle_connections, connections),
            max_handshakes=min(self.max_handshakes, connections),
            pairs=min(self.pairs, connections // 2),
            crowd=min(self.crowd, connections),
        )


class Workload(Protocol):
    """Something to ask of a server."""

    @property
    def name(self) -> str:
        """What the command line and the results call it."""

    @property
    def title(self) -> str:
        """What the table and the picture call it."""

    @property
    def app(self) -> App:
        """What the server is to do."""

    @property
    def left_out(self) -> frozenset[str]:
        """The names of servers that it would take too long on, though they serve the app."""

    @property
    def offers_deflate(self) -> bool:
        """Whether the clients offer permessage-deflate, which the server is to agree to."""

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
