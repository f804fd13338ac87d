"""A cluster whose masters come and go, and whose slots move."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest
from redis.crc import key_slot

from roomcast import Retention
from roomcast.rooms.retention import Retentions
from tests.brokers.redis_server import RedisCluster, needs_redis
from tests.rooms.brokers.redis.checker import ROOMS, Publishers, check, check_deliveries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.rooms.brokers.redis.conftest import Open

pytestmark = needs_redis

DEADLINE = 20.0
ALL = Retentions(Retention(size=1_000_000, bytes=1 << 29, age=math.inf))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    with RedisCluster(tmp_path / "redis") as cluster:
        yield cluster


async def test_what_is_published_in_a_room_stays_with_its_master(cluster: RedisCluster, opened: Open) -> None:
    node = await opened(cluster.url)
    for number in range(30):
        await node.broker.subscribe(f"room {number}")
    channels = [server.command("PUBSUB", "SHARDCHANNELS") for server in cluster.servers]
    assert sum(map(len, channels)) == 30
    assert all(channels)
    assert not any(server.command("PUBSUB", "CHANNELS") for server in cluster.servers)


async def test_a_master_that_is_killed_and_started_again_loses_nothing(
    cluster: RedisCluster, opened: Open
) -> None:
    node, other = await opened(cluster.url, retentions=ALL), await opened(cluster.url, retentions=ALL)
    for room in ROOMS:
        await other.broker.subscribe(room)
    async with Publishers(node) as publishers:
        master = cluster.servers[key_slot(b"a") * 3 // 16384]
        await asyncio.to_thread(master.kill)
        await asyncio.to_thread(master.start)
        await asyncio.wait_for(other.returned.wait(), DEADLINE)
        await publishers.more(200)
    await check(publishers, node)
    await check_deliveries(other, publishers)


async def test_a_room_whose_slot_moves_goes_on_with_its_history(cluster: RedisCluster, opened: Open) -> None:
    node, other = await opened(cluster.url, retentions=ALL), await opened(cluster.url, retentions=ALL)
    for room in ROOMS:
        await other.broker.subscribe(room)
    async with Publishers(node) as publishers:
        await asyncio.to_thread(move, cluster, key_slot(b"a"))
        await asyncio.wait_for(other.returned.wait(), DEADLINE)
        await publishers.more(200)
    await check(publishers, node)
    await check_deliveries(other, publishers)
    after = await node.broker.publish("a", b"after")
    while (delivery := await other.delivered())[1] != after:
        pass
    assert delivery == ("a", after, b"after")


def move(cluster: RedisCluster, slot: int) -> None:
    """Move a slot from its master to the next one, with all that is in it."""
    number = slot * 3 // 16384
    source, target = cluster.servers[number], cluster.servers[(number + 1) % 3]
    source_id, target_id = (server.command("CLUSTER", "MYID").decode() for server in (source, target))
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 100):
        source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    for server in (target, source, *cluster.servers):
        server.command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
