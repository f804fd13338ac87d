"""Episodes: members come, stall, lose their nodes and the broker, have missed nothing, and go."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from websockets.exceptions import WebSocketException

from tests.cluster.clients import DEADLINE, Control, Refused, Visitor
from tests.faults.faults import are_present, clients_killed, network_cut, node_killed
from tests.faults.traffic import BACK_OFF, Traffic
from tests.soak.stalled import stall

if TYPE_CHECKING:
    from tests.faults.faults import Fault, Stage
    from tests.soak.watch import Watch

SECOND = 1
"""The number of the node that is killed and restarted. The first lives from the start to the end."""
VISITORS = 3
"""How many come and go at a time."""
VISITED = 20
"""Between how many rooms each of them goes: a broker remembers the order of a room for a day."""
VISIT = 0.05
"""Seconds between two visits of a visitor."""
CALM = 25
"""How many publications of each publisher come before what breaks, and after."""


async def node_restarted(stage: Stage, _traffic: Traffic) -> None:
    """A node is asked to end, and another one takes its place."""
    await stage.cluster.nodes[stage.victim].stop()
    await stage.cluster.replace(stage.victim)


@dataclass(frozen=True)
class Break:
    """What breaks in an episode.

    Attributes:
        fault: how.
        victim: on which node.
        title: what the plot calls it.
    """

    fault: Fault
    victim: int
    title: str


BREAKS = (
    Break(node_killed, SECOND, "node 2 killed"),
    Break(network_cut, 0, "node 1 cut off"),
    Break(node_restarted, SECOND, "node 2 restarted"),
    Break(clients_killed, 0, "Redis' clients killed"),
)
"""One in each episode, in turn."""


async def play(stage: Stage, watch: Watch, number: int) -> Counter[str]:
    """Play one episode, and look at the processes when all have gone.

    Args:
        stage: where.
        watch: who looks.
        number: which episode, from 0.

    Returns:
        How much of what there was.

    Raises:
        AssertionError, TimeoutError: something was lost, or somebody did not recover in time.
    """
    broken, name = BREAKS[number % len(BREAKS)], f"soak-{number}"
    async with Churn(stage) as churn, _traffic(stage, name) as traffic:
        await traffic.flows(CALM)
        await stall(lambda: stage.cluster.urls, f"{name}-stall", number)
        watch.mark(broken.title)
        await broken.fault(replace(stage, victim=broken.victim), traffic)
        await traffic.flows(CALM)
        await are_present(stage, traffic)
        await traffic.finish()
    await _all_have_gone(stage)
    await watch.rest()
    accounts = [member.account for member in traffic.members]
    return Counter(
        {
            "publications": len(traffic.acknowledged),
            "deliveries": sum(len(chapter.seen) for account in accounts for chapter in account.chapters),
            "reconnections": sum(member.losses for member in traffic.members),
            "visits": churn.visits,
            "stalls": 1,
            "breaks": 1,
        }
    )


def _traffic(stage: Stage, name: str) -> Traffic:
    return Traffic(lambda: stage.cluster.urls, name, rooms=2, members=4, restless=2, publishers=2)


async def _all_have_gone(stage: Stage) -> None:
    """Wait until no node has any members."""
    deadline = time.monotonic() + DEADLINE
    for url in stage.cluster.urls:
        async with Control(url) as node:
            while active := await node.call("active"):
                assert time.monotonic() < deadline, f"all have gone, and are still in {active}"
                await asyncio.sleep(0.05)


class Churn:
    """Visitors who come into one room after the other, say something, hear it, and leave, or vanish.

    Attributes:
        visits: how many did, and nothing broke meanwhile.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False
        self.visits = 0

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._roam(f"soak-visited-{number}")) for number in range(VISITORS)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _roam(self, name: str) -> None:
        for number in itertools.count():
            if self._is_over:
                return
            try:
                await self._visit(f"{name}-{number % VISITED}", number)
                self.visits += 1
                await asyncio.sleep(VISIT)
            except (ConnectionError, Refused, TimeoutError, WebSocketException):
                await asyncio.sleep(BACK_OFF)  # something broke meanwhile

    async def _visit(self, room: str, number: int) -> None:
        urls = self._stage.cluster.urls
        here, there = urls[number % len(urls)], urls[(number + number // 2) % len(urls)]
        async with Visitor(here, room, name="visitor") as visitor:
            async with Control(there) as node:
                said = f"{room}-{number}-{time.monotonic_ns()}"
                await node.call("publish", room=room, data=said)
            assert await visitor.hears() == [said]
            if number % 3 == 0:
                visitor.vanish()
