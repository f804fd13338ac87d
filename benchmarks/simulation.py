"""A small simulation: publications on their way through nodes and a broker that share the cores of a machine.

Each process does one thing at a time, in order. It runs where a core is free: those that wait for one take turns.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from benchmarks.model import Costs

Done: TypeAlias = Callable[[float], None]
"""Called with the time at which a piece of work was done."""


@dataclass(frozen=True)
class Site:
    """What is simulated.

    Attributes:
        nodes: how many nodes.
        rooms: how many rooms.
        members: how many members each has, on the nodes in turn.
        rate: publications a second, in all rooms together, at random times.
        cores: how many cores all processes share; None for one each.
        network: how long a message takes from one process to another, in seconds.
        read: what the load itself takes for a delivery, in microseconds; 0 where it has a machine of its own.
    """

    nodes: int
    rooms: int
    members: int
    rate: float
    cores: int | None = None
    network: float = 20e-6
    read: float = 0.0


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        seconds: how long it was, until the last delivery.
        nodes: CPU of all nodes, in seconds.
        broker: CPU of the broker, in seconds.
        latencies: of each publication at each node, in seconds; sorted.
    """

    seconds: float = 0.0
    nodes: float = 0.0
    broker: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def latency(self, share: float) -> float:
        """Give the latency that so large a share did not exceed, in seconds."""
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


class Machine:
    """Cores, the processes that share them, and the time.

    Args:
        cores: how many; None for as many as there are processes.
    """

    def __init__(self, cores: int | None) -> None:
        self._free = cores
        self._ready: deque[Process] = deque()
        self._events: list[tuple[float, int, Done]] = []
        self._order = itertools.count()
        self.now = 0.0

    def at(self, when: float, what: Done) -> None:
        """Have something happen at a time."""
        heapq.heappush(self._events, (when, next(self._order), what))

    def run(self) -> None:
        """Let everything happen, in the order of time."""
        while self._events:
            self.now, _, what = heapq.heappop(self._events)
            what(self.now)

    def wake(self, process: Process) -> None:
        """Have a process do its next piece of work, as soon as there is a core for it."""
        if self._free == 0:
            self._ready.append(process)
        else:
            if self._free is not None:
                self._free -= 1
            self._begin(process)

    def _begin(self, process: Process) -> None:
        work, done = process.waiting.popleft()
        process.used += work
        self.at(self.now + work, lambda now: self._end(process, done, now))

    def _end(self, process: Process, done: Done, now: float) -> None:
        if self._free is not None:
            self._free += 1
        process.is_awake = False
        done(now)
        if process.waiting and not process.is_awake:
            process.is_awake = True
            self._ready.append(process)
        while self._ready and self._free != 0:
            if self._free is not None:
                self._free -= 1
            self._begin(self._ready.popleft())


class Process:
    """One process: a node, a broker, or the load.

    Attributes:
        used: its CPU so far, in seconds.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.waiting: deque[tuple[float, Done]] = deque()
        self.is_awake = False
        self.used = 0.0

    def do(self, microseconds: float, done: Done) -> None:
        """Do a piece of work, after all that came before."""
        self.waiting.append((microseconds / 1e6, done))
        if not self.is_awake:
            self.is_awake = True
            self._machine.wake(self)


def simulate(site: Site, costs: Costs, seconds: float) -> Outcome:
    """Have publications go through a site for some time, and until all are delivered."""
    machine = Machine(site.cores)
    nodes = [Process(machine) for _ in range(site.nodes)]
    broker, load = Process(machine), Process(machine)
    outcome = Outcome()
    chance = random.Random(int(site.rate))

    def publish(start: float, number: int) -> None:
        room = number % site.rooms
        publisher = nodes[(room + number // site.rooms % site.members) % site.nodes]
        here = {
            place: len(range(place, site.members, site.nodes)) for place in range(min(site.nodes, site.members))
        }

        def carry(now: float) -> None:
            work = costs.carry + costs.copy * len(here)
            machine.at(now + site.network, lambda _: broker.do(work, spread))

        def spread(now: float) -> None:
            for place, count in here.items():
                node = nodes[(room + place) % site.nodes]
                work = costs.receive + costs.deliver * count
                machine.at(
                    now + site.network, lambda _, node=node, work=work, count=count: deliver(node, work, count)
                )

        def deliver(node: Process, work: float, count: int) -> None:
            node.do(work, lambda _: load.do(site.read * count, seen))

        def seen(now: float) -> None:
            outcome.latencies.append(now - start)

        publisher.do(costs.publish, carry)

    when, number = chance.expovariate(site.rate), 0
    while when < seconds:
        machine.at(when, lambda now, number=number: publish(now, number))
        when += chance.expovariate(site.rate)
        number += 1
    machine.run()
    outcome.seconds = machine.now
    outcome.nodes = sum(node.used for node in nodes)
    outcome.broker = broker.used
    outcome.latencies.sort()
    return outcome
