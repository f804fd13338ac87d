"""Presence of nodes that die, freeze, or whose Redis forgets it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from tests.brokers.redis_server import RedisServer, needs_redis
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.rooms.brokers.redis.conftest import Open

pytestmark = needs_redis

DEADLINE = 20.0
DYING = """
import asyncio, sys
from roomcast.rooms.brokers import broker_from_url

async def main():
    broker = broker_from_url(sys.argv[1])
    await broker.open(lambda *_: None)
    for room in ("r", "other"):
        for member in range(3):
            await broker.arrive(room, f"dying {member}", f"{room} {member}".encode())
    print("arrived", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def until(told: Callable[[], Awaitable[object]], expected: object) -> None:
    async with asyncio.timeout(DEADLINE):
        while await told() != expected:  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.02)


async def test_who_was_on_a_node_that_dies_vanishes_once(redis: RedisServer, opened: Open) -> None:
    url = f"{redis.url}?presence_ttl=0.6"
    nodes = [await opened(url) for _ in range(3)]
    await nodes[0].broker.arrive("r", "staying", b"staying")
    with Program(sys.executable, "-c", DYING, url) as program:
        await asyncio.to_thread(program.wait_for_line, "arrived")
        assert len(await nodes[1].broker.present("r")) == 4
        assert await nodes[1].broker.rooms() == {"r": 4, "other": 3}
    await until(nodes[1].broker.rooms, {"r": 1})
    assert await nodes[1].broker.present("r") == [b"staying"]
    vanished = [node.vanished.get_nowait() for node in nodes for _ in range(node.vanished.qsize())]
    expected = [(room, f"{room} {member}".encode()) for room in ("other", "r") for member in range(3)]
    assert sorted(vanished) == expected


async def test_what_redis_has_forgotten_is_told_again(redis: RedisServer, opened: Open) -> None:
    url = f"{redis.url}?presence_ttl=0.6"
    node, other = await opened(url), await opened(url)
    for member in "abc":
        await node.broker.arrive("r", member, member.encode())
    await node.broker.arrive("gone", "a", b"")
    await node.broker.depart("gone", "a")
    redis.command("FLUSHALL")
    await until(other.broker.rooms, {"r": 3})
    assert sorted(await other.broker.present("r")) == [b"a", b"b", b"c"]
    assert node.vanished.empty()
    assert other.vanished.empty()


async def test_a_node_that_was_cleared_away_tells_of_its_members_again(redis: RedisServer, opened: Open) -> None:
    node, other = await opened(f"{redis.url}?presence_ttl=60"), await opened(f"{redis.url}?presence_ttl=0.6")
    await node.broker.arrive("r", "m", b"m")
    [longest] = redis.command("ZRANGE", "roomcast:{nodes}", -1, -1)
    redis.command("ZADD", "roomcast:{nodes}", 1, longest)
    assert await asyncio.wait_for(other.vanished.get(), DEADLINE) == ("r", b"m")
    await node.broker._presences._renew()  # type: ignore[attr-defined] # it would in its own time
    assert await other.broker.present("r") == [b"m"]
    assert await other.broker.rooms() == {"r": 1}


async def test_what_a_node_tells_survives_a_kill_of_the_server(redis: RedisServer, opened: Open) -> None:
    url = f"{redis.url}?presence_ttl=1.2"
    node, other = await opened(url), await opened(url)
    for number in range(250):
        await node.broker.arrive(f"r{number}", "m", b"m")
    await asyncio.to_thread(redis.kill)
    await asyncio.to_thread(redis.start)
    await until(other.broker.rooms, {f"r{number}": 1 for number in range(250)})


async def test_channels_that_are_no_rooms_are_left_out(redis: RedisServer, opened: Open) -> None:
    node = await opened(redis.url)
    await node.broker.arrive("\x01nodes", "n", b"node")
    assert await node.broker.rooms() == {}
    assert await node.broker.present("\x01nodes") == [b"node"]


async def test_joins_and_leaves_of_thousands_leave_nothing_over(redis: RedisServer, opened: Open) -> None:
    node = await opened(redis.url)
    rooms = [f"room {number}" for number in range(1000)]

    async def come_and_go(number: int) -> None:
        room = rooms[number % 1000]
        await node.broker.subscribe(room)
        await node.broker.arrive(room, str(number), b"")

    await asyncio.gather(*(come_and_go(number) for number in range(3000)))
    assert await node.broker.rooms() == dict.fromkeys(rooms, 3)
    assert len(redis.command("PUBSUB", "CHANNELS")) == 1000
    await asyncio.gather(*(node.broker.depart(rooms[number % 1000], str(number)) for number in range(3000)))
    for room in rooms:
        await node.broker.unsubscribe(room)
    assert await node.broker.rooms() == {}
    await node.delivered_nothing()
    assert redis.command("PUBSUB", "CHANNELS") == [b"roomcast:{the end}"]
    assert set(redis.command("KEYS", "*:p")) == set()
