"""The faults: what can happen to brokers, nodes and the network between them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from tests.cluster.clients import DEADLINE, Control, Refused, Visitor
from tests.faults.traffic import Traffic

if TYPE_CHECKING:
    from typing import TypeAlias

    from tests.cluster.cluster import Cluster
    from tests.cluster.servers import Server

PRESENCE_TTL = 2
"""Seconds after which a node that died is forgotten with its members."""
FORGETTING = 4 * PRESENCE_TTL + 5.0
"""Seconds in which that must have happened, on a loaded machine too."""
LARGE = 65_536
"""Bytes of what is published to overflow a buffer."""
OVERFLOW = "overcoming of output buffer limits"
"""What Redis logs of it."""
OVERFLOWING = 240
"""How many of that: more than a kernel keeps for a connection."""


@dataclass
class Stage:
    """Where faults happen.

    Attributes:
        cluster: the nodes: at least two.
        server: their broker's.
        outage: how many seconds a fault lasts that ends by itself.
        victim: the number of the node that is killed, or cut off from the broker.
    """

    cluster: Cluster
    server: Server
    outage: float
    victim: int = 0

    async def last(self) -> None:
        """Let the fault last."""
        await asyncio.sleep(self.outage)


Fault: TypeAlias = Callable[[Stage, Traffic], Awaitable[None]]
"""Something happens, and is over when this returns, but for what nodes and clients then have to do."""


async def broker_killed(stage: Stage, traffic: Traffic) -> None:
    """The broker's server is killed, and started again with its files: at once, and then after a while."""
    await asyncio.to_thread(stage.server.kill)
    await asyncio.to_thread(stage.server.start)
    await traffic.flows()
    await asyncio.to_thread(stage.server.kill)
    await stage.last()
    await asyncio.to_thread(stage.server.start)


async def broker_frozen(stage: Stage, _traffic: Traffic) -> None:
    """The broker's server answers nothing for a while, and then goes on."""
    stage.server.freeze()
    try:
        await stage.last()
    finally:
        stage.server.thaw()


async def node_killed(stage: Stage, traffic: Traffic) -> None:
    """A node is killed: its members come back to others, and are in their rooms once, after some time."""
    cluster, room = stage.cluster, traffic.rooms[0]
    steady = [member for member in traffic.members if member.account.room == room and not member.restless]
    victim = cluster.nodes[stage.victim]
    elsewhere = next(url for url in cluster.urls if url != victim.url)
    async with Visitor(elsewhere, room, notices=True, name="witness") as witness:
        dead = Counter(member.account.member for member in steady if member.url == victim.url)
        assert dead, "nobody in the room is on the node that dies: this would show nothing"
        pid = victim.program.pid
        await victim.kill()
        try:
            left = await _leaves(witness, {member.account.member for member in steady}, dead.total())
            assert left == dead, f"told that {left} left, and should be that {dead} did"
            async with Control(cluster.urls[0]) as node:
                assert pid not in await node.call("nodes"), "the dead node is still known"
        finally:
            await cluster.replace(stage.victim)


async def _leaves(witness: Visitor, whose: set[str], count: int) -> Counter[str]:
    """Wait until so many of some members have left, as another one is told; gives who has left in time."""
    left: Counter[str] = Counter()
    with suppress(TimeoutError):
        async with asyncio.timeout(FORGETTING):
            while left.total() < count:
                said = await witness.receive()
                left.update({said.get("left")} & whose)
    return left


async def network_stalled(stage: Stage, _traffic: Traffic) -> None:
    """Between one node and the broker nothing comes through, and nobody is told."""
    stage.cluster.links[stage.victim].stall()
    await stage.last()
    stage.cluster.links[stage.victim].mend()


async def network_cut(stage: Stage, _traffic: Traffic) -> None:
    """One node loses its connections to the broker, and gets no new ones."""
    stage.cluster.links[stage.victim].cut()
    await stage.last()
    stage.cluster.links[stage.victim].mend()


async def rolling_restart(stage: Stage, traffic: Traffic) -> None:
    """One node after the other is asked to end, and started again."""
    for number, node in enumerate(stage.cluster.nodes):
        await node.stop()
        await stage.cluster.replace(number)
        await traffic.flows()


async def scripts_flushed(stage: Stage, _traffic: Traffic) -> None:
    """Redis forgets its scripts."""
    with redis.Redis(port=stage.server.port) as server:
        server.script_flush()


async def clients_killed(stage: Stage, traffic: Traffic) -> None:
    """Redis closes the connections that publish, then those that subscribe, then all at once."""
    with redis.Redis(port=stage.server.port) as server:
        for kinds in (("normal",), ("pubsub",), ("normal", "pubsub")):
            killed = sum(server.client_kill_filter(_type=kind, skipme=True) for kind in kinds)
            assert killed, f"there were no clients of {kinds} to kill"
            await traffic.flows()


async def buffer_overflown(stage: Stage, _traffic: Traffic) -> None:
    """Redis closes the connection of a node that does not read what it has subscribed to."""
    cluster = stage.cluster
    with redis.Redis(port=stage.server.port) as server:
        before = stage.server.log.count(OVERFLOW)
        server.config_set("client-output-buffer-limit", "pubsub 256kb 128kb 1")
        try:
            large = Traffic(
                lambda: cluster.urls, "large", rooms=1, members=2, restless=0, publishers=1, padding=LARGE
            )
            async with large:
                await large.flows()
                cluster.links[0].stall()
                try:
                    await _publish_much(cluster.urls[-1], large.rooms[0])
                    deadline = time.monotonic() + DEADLINE
                    while stage.server.log.count(OVERFLOW) == before:
                        assert time.monotonic() < deadline, "no buffer was too full for Redis"
                        await asyncio.sleep(0.05)
                finally:
                    cluster.links[0].mend()
                await large.flows()
                await large.finish()
        finally:
            server.config_set("client-output-buffer-limit", "pubsub 32mb 8mb 60")


async def _publish_much(url: str, room: str) -> None:
    async with Control(url) as node:
        for number in range(OVERFLOWING):
            await node.call("publish", room=room, data=f"much-{number}-".ljust(LARGE, "x"))


COMMON: tuple[Fault, ...] = (
    broker_killed,
    broker_frozen,
    node_killed,
    network_stalled,
    network_cut,
    rolling_restart,
)
"""What can happen with any broker."""
OF_REDIS: tuple[Fault, ...] = (scripts_flushed, clients_killed, buffer_overflown)
"""What can happen with Redis besides."""


async def strike(stage: Stage, fault: Fault) -> str:
    """Have a fault happen in the midst of traffic, and check that nothing was lost by it, or that it is told.

    Returns:
        How it went, in words.

    Raises:
        AssertionError: something was missed, repeated or out of order, or somebody did not recover in time.
    """
    async with Traffic(lambda: stage.cluster.urls, fault.__name__) as traffic:
        await traffic.flows()
        start = time.monotonic()
        await fault(stage, traffic)
        lasted = time.monotonic() - start
        recovered = await traffic.flows()
        await are_present(stage, traffic)
        lossless = stage.server.keeps_all or fault is not broker_killed
        return (
            f"{await traffic.finish(lossless=lossless)}; lasted {lasted:.1f} s, then {recovered:.1f} s to recover"
        )


async def are_present(stage: Stage, traffic: Traffic) -> None:
    """Wait until each node has each room's members, each once.

    The restless rest meanwhile: else they are hardly ever all there at the same moment.
    """
    restless = [member for member in traffic.members if member.restless]
    for member in restless:
        member.restless = False
    deadline = time.monotonic() + FORGETTING
    for url in stage.cluster.urls:
        async with Control(url) as node:
            for room in traffic.rooms:
                names = Counter(member.account.member for member in traffic.members if member.account.room == room)
                while (found := await _members(node, room)) != names:
                    assert time.monotonic() < deadline, f"in {room} are {found}, and should be {names}"
                    await asyncio.sleep(0.05)
    for member in restless:
        member.restless = True


async def _members(node: Control, room: str) -> Counter[str] | str:
    """Give who is in a room, or why nobody can say."""
    try:
        return Counter(await node.call("members", room=room))
    except Refused as error:
        return str(error)
