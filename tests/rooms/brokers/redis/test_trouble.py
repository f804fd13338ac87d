"""What happens to a server while rooms are used, on real servers."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

import pytest

from roomcast import BrokerUnavailable, Position, Retention
from roomcast.rooms.retention import Retentions
from tests.brokers.redis_server import RedisSentinels, RedisServer, needs_redis
from tests.rooms.brokers.redis.checker import ROOMS, Publishers, check, check_deliveries

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rooms.brokers.node import Node
    from tests.rooms.brokers.redis.conftest import Open

pytestmark = needs_redis

DEADLINE = 20.0
ALL = Retentions(Retention(size=1_000_000, bytes=1 << 29, age=math.inf))


@pytest.fixture
async def node(redis: RedisServer, opened: Open) -> Node:
    """Publishes."""
    return await opened(f"{redis.url}?timeout=5", retentions=ALL)


@pytest.fixture
async def other(redis: RedisServer, opened: Open) -> Node:
    """Has members in all rooms."""
    other = await opened(f"{redis.url}?timeout=5", retentions=ALL)
    for room in ROOMS:
        await other.broker.subscribe(room)
    return other


async def back(node: Node) -> None:
    """Wait until the node has said that something may have been missed, and can be reached."""
    await asyncio.wait_for(node.returned.wait(), DEADLINE)
    assert node.broker.reachable
    node.returned.clear()


async def test_killed_and_started_again_loses_nothing_and_publishes_nothing_twice(
    redis: RedisServer, node: Node, other: Node
) -> None:
    async with Publishers(node) as publishers:
        await asyncio.to_thread(redis.kill)
        await asyncio.to_thread(redis.start)
        await back(other)
        await publishers.more(200)
    await check(publishers, node)
    await check_deliveries(other, publishers)
    assert not [payload for payload in publishers.failed if payload in publishers.acknowledged]
    history = await node.broker.history("a")
    assert history.complete
    assert (await node.broker.history("a", since=Position(1, history.position.epoch))).complete, "a new epoch"


async def test_scripts_that_are_flushed_are_loaded_again(redis: RedisServer, node: Node, other: Node) -> None:
    async with Publishers(node) as publishers:
        for _ in range(5):
            await asyncio.to_thread(redis.command, "SCRIPT", "FLUSH")
            await publishers.more(100)
    await check(publishers, node)
    assert not other.returned.is_set()
    assert {payload for _, _, payload in other.so_far()} >= set(publishers.acknowledged)


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
async def test_connections_that_are_killed_are_had_again(
    redis: RedisServer, node: Node, other: Node, kind: str
) -> None:
    async with Publishers(node) as publishers:
        for _ in range(3):
            other.returned.clear()
            await asyncio.to_thread(redis.command, "CLIENT", "KILL", "TYPE", kind)
            if kind == "pubsub":
                await back(other)
            await publishers.more(100)
    await check(publishers, node)
    await check_deliveries(other, publishers)


async def test_what_is_under_way_when_its_connection_is_killed_is_carried_once(
    redis: RedisServer, node: Node, other: Node
) -> None:
    for round_ in range(10):
        publishing = [
            asyncio.create_task(node.broker.publish("a", b"%d %d" % (round_, number), keep=False))
            for number in range(100)
        ]
        await asyncio.sleep(0)
        killing = asyncio.create_task(asyncio.to_thread(redis.command, "CLIENT", "KILL", "TYPE", "normal"))
        await asyncio.wait_for(asyncio.gather(*publishing), DEADLINE)
        await killing
    await node.broker.publish("a", b"end", keep=False)
    carried = []
    while (payload := (await other.delivered())[2]) != b"end":
        carried.append(payload)
    assert carried == [b"%d %d" % (round_, number) for round_ in range(10) for number in range(100)]


async def test_a_subscriber_that_is_cut_off_for_what_waits_says_so(redis: RedisServer, opened: Open) -> None:
    redis.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 100000 0 0")
    node = await opened(redis.url)
    await node.broker.subscribe("r")
    position = await node.broker.publish("r", bytes(200_000))
    await back(node)
    assert (await node.broker.history("r")).kept == [(position, bytes(200_000))]
    after = await node.broker.publish("r", b"after")
    assert (await node.delivered())[1:] == (after, b"after")


async def test_a_frozen_server_is_unavailable_in_time_and_then_goes_on(redis: RedisServer, opened: Open) -> None:
    node = await opened(f"{redis.url}?timeout=0.4", retentions=ALL)
    other = await opened(f"{redis.url}?timeout=0.4", retentions=ALL)
    await other.broker.subscribe("a")
    loop = asyncio.get_running_loop()
    async with Publishers(node) as publishers:
        with redis.frozen():
            begun = loop.time()
            while not publishers.failed or node.broker.reachable or other.broker.reachable:
                assert loop.time() < begun + 5
                await asyncio.sleep(0.01)
            for asked in (
                node.broker.publish("a", b"x"),
                node.broker.subscribe("x"),
                node.broker.history("a"),
                node.broker.present("a"),
                node.broker.rooms(),
                node.broker.arrive("a", "m", b""),
            ):
                begun = loop.time()
                with pytest.raises(BrokerUnavailable):
                    await asked
                assert loop.time() < begun + 2
        await back(other)
        await publishers.more(200)
    publishers.failed.add(b"x")
    await check(publishers, node)


async def test_an_outage_is_told_once_and_so_is_its_end(
    redis: RedisServer, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "roomcast")
    node = await opened(f"{redis.url}?timeout=0.3")
    await asyncio.to_thread(redis.kill)
    for _ in range(4):
        with pytest.raises(BrokerUnavailable, match="cannot be reached"):
            await node.broker.publish("r", b"")
    assert not node.broker.reachable
    await asyncio.to_thread(redis.start)
    await back(node)
    told = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in told] == [
        "the broker is unavailable, and tried again until it is back",
        "the broker is back",
    ]


async def test_a_memory_that_is_full_takes_nothing_and_later_again(redis: RedisServer, node: Node) -> None:
    first = await node.broker.publish("r", b"a")
    redis.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(BrokerUnavailable, match="has no memory left"):
        await node.broker.publish("r", b"b")
    assert (await node.broker.history("r")).position == first
    redis.command("CONFIG", "SET", "maxmemory", "0")
    assert (await node.broker.publish("r", b"b")).offset == 2


async def test_data_that_is_gone_begins_anew(redis: RedisServer, node: Node) -> None:
    first = await node.broker.publish("r", b"a")
    redis.command("FLUSHALL")
    again = await node.broker.publish("r", b"b")
    assert again.offset == 1
    assert again.epoch != first.epoch
    assert not (await node.broker.history("r", since=first)).complete


async def test_a_restart_without_a_file_gives_no_offset_twice(tmp_path: Path, opened: Open) -> None:
    with RedisServer(tmp_path / "other", append=False) as redis:
        node = await opened(redis.url)
        await node.broker.publish("r", b"a")
        redis.command("SAVE")
        second = await node.broker.publish("r", b"b")
        await asyncio.to_thread(redis.kill)
        await asyncio.to_thread(redis.start)
        again = await node.broker.publish("r", b"c")
        assert again.offset == 2, "the snapshot has the first"
        assert again.epoch != second.epoch
        assert not (await node.broker.history("r", since=second)).complete


async def test_a_file_without_its_end_gives_no_offset_twice(redis: RedisServer, node: Node, opened: Open) -> None:
    await node.broker.publish("r", b"a")
    [size] = {path.stat().st_size for path in redis.folder.glob("appendonlydir/*.incr.aof")}
    second = await node.broker.publish("r", b"b")
    await asyncio.to_thread(redis.kill)
    for path in redis.folder.glob("appendonlydir/*.incr.aof"):
        with path.open("r+b") as file:
            file.truncate(size)
    await asyncio.to_thread(redis.start)
    await back(node)
    stranger = await opened(redis.url)
    again = await stranger.broker.publish("r", b"c")
    assert again.offset == 2
    assert again.epoch != second.epoch


async def test_a_replica_that_lacks_something_gives_no_offset_twice(tmp_path: Path, opened: Open) -> None:
    with RedisSentinels(tmp_path / "redis") as redis:
        node = await opened(f"{redis.url}?timeout=8")
        await node.broker.subscribe("r")
        first = await node.broker.publish("r", b"a")
        master, replica = redis.master, redis.replica
        replica.wait_until(lambda: replica.command("DBSIZE") == master.command("DBSIZE"), "follow")
        with replica.frozen():
            second = await node.broker.publish("r", b"lost")
            await asyncio.to_thread(master.kill)
        await asyncio.to_thread(redis.wait_for_failover)
        await back(node)
        again = await node.broker.publish("r", b"c")
        assert second.epoch == first.epoch
        assert again.epoch != first.epoch
        history = await node.broker.history("r", since=second)
        assert not history.complete
        assert b"c" in [payload for _, payload in history.kept]


async def test_a_failover_amid_publishing_is_noticed_and_goes_on(tmp_path: Path, opened: Open) -> None:
    with RedisSentinels(tmp_path / "redis") as redis:
        node = await opened(f"{redis.url}?timeout=8", retentions=ALL)
        other = await opened(f"{redis.url}?timeout=8", retentions=ALL)
        for room in ROOMS:
            await other.broker.subscribe(room)
        async with Publishers(node) as publishers:
            before = (await node.broker.history("a")).position
            await asyncio.to_thread(redis.master.kill)
            await asyncio.to_thread(redis.wait_for_failover)
            await back(other)
            await publishers.more(200)
        after = await node.broker.history("a", since=before)
        assert not after.complete, "what the replica may lack is noticed by the epoch"
        for room in ROOMS:
            kept = [payload for _, payload in (await node.broker.history(room)).kept]
            assert len(kept) == len(set(kept))
