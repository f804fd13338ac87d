"""A server that is killed, frozen, emptied or put back, and a node that dies."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import BrokerUnavailable, Position
from roomcast.rooms.brokers.nats.streams import Found, find_or_make
from tests.brokers.nats_server import NatsServer, needs_nats
from tests.rooms.guests import DEADLINE, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rooms.brokers.nats.conftest import NatsNode, Open

pytestmark = needs_nats


async def restart(server: NatsServer) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


async def offsets_delivered(node: NatsNode, count: int) -> list[int]:
    delivered = [await node.delivered() for _ in range(count)]
    return [position.offset for _, position, _ in delivered if position is not None]


async def test_what_was_acknowledged_outlives_a_server_that_is_killed(server: NatsServer, opened: Open) -> None:
    node, other = await opened(server), await opened(server)
    await other.broker.subscribe("r")
    before = [await node.broker.publish("r", b"%d" % number, key=f"{number}") for number in range(20)]
    await restart(server)
    await asyncio.gather(node.has_returned(), other.has_returned())
    assert await node.broker.publish("r", b"0", key="0") == before[0]
    after = await node.broker.publish("r", b"20")
    assert after == Position(21, before[0].epoch)
    history = await other.broker.history("r")
    assert [payload for _, payload in history.kept] == [b"%d" % number for number in range(21)]
    assert await offsets_delivered(other, 21) == list(range(1, 22))


async def test_publishing_while_the_server_is_killed_waits_for_it_and_publishes_once(
    server: NatsServer, opened: Open
) -> None:
    node, other = await opened(server), await opened(server)
    await other.broker.subscribe("r")
    acknowledged: list[bytes] = []
    over = asyncio.Event()

    async def talk(name: str) -> None:
        number = 0
        while not over.is_set():
            payload = f"{name}{number}".encode()
            position = await node.broker.publish("r", payload)
            acknowledged.append(b"%d %s" % (position.offset, payload))
            number += 1

    talking = [asyncio.create_task(talk(name)) for name in "abcde"]
    for _ in range(3):
        done = len(acknowledged)
        await until(lambda done=done: len(acknowledged) > done + 200)  # type: ignore[misc]
        await restart(server)
    await node.has_returned()
    over.set()
    await asyncio.gather(*talking)
    kept = [b"%d %s" % (position.offset, payload) for position, payload in (await node.broker.history("r")).kept]
    newest = int(kept[-1].split()[0])
    assert newest == len(acknowledged)
    assert sorted(acknowledged, key=lambda line: int(line.split()[0]))[-len(kept) :] == kept


async def test_a_frozen_server_makes_publishing_fail_in_time_and_all_go_on_afterwards(
    server: NatsServer, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    node, other = await opened(server, "&timeout=1"), await opened(server)
    await other.broker.subscribe("r")
    first = await node.broker.publish("r", b"before")
    with server.frozen():
        started = time.monotonic()
        for keep in (True, False):
            with pytest.raises(BrokerUnavailable, match="may come all the same"):
                await node.broker.publish("r", b"frozen", key="k", keep=keep)
        with pytest.raises(BrokerUnavailable):
            await node.broker.history("r")
        assert time.monotonic() - started < 5
        async with asyncio.timeout(30):
            while node.broker.reachable:  # noqa: ASYNC110 - it is time that is waited for
                await asyncio.sleep(0.05)
            with caplog.at_level(logging.WARNING):
                while not caplog.records:  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(0.05)
    await asyncio.gather(node.has_returned(), other.has_returned())
    assert node.broker.reachable
    assert "the connection to NATS at 127.0.0.1:" in caplog.messages[0]
    again = await node.broker.publish("r", b"frozen", key="k")
    last = await node.broker.publish("r", b"after")
    assert (first.offset, again.offset, last.offset) == (1, 2, 3)
    assert [payload for _, payload in (await node.broker.history("r")).kept] == [b"before", b"frozen", b"after"]
    while await other.delivered() != ("r", last, b"after"):
        continue  # what came before while it was not connected, it has not heard


async def test_a_server_that_comes_back_empty_begins_all_rooms_in_a_new_epoch(
    server: NatsServer, opened: Open
) -> None:
    node = await opened(server)
    await node.broker.subscribe("r")
    before = await node.broker.publish("r", b"a")
    await node.broker.arrive("r", "m", b"here")
    await asyncio.to_thread(server.kill)
    server.forget()
    await asyncio.to_thread(server.start)
    await node.has_returned()
    assert await node.broker.present("r") == [b"here"]
    after = await node.broker.publish("r", b"b")
    assert after.offset == 1
    assert after.epoch != before.epoch
    history = await node.broker.history("r", since=before)
    assert (len(history.kept), history.complete) == (1, False)
    assert [await node.delivered() for _ in range(2)] == [("r", before, b"a"), ("r", after, b"b")]


async def test_a_server_that_lost_its_newest_messages_gives_no_position_twice(
    server: NatsServer, opened: Open, tmp_path: Path
) -> None:
    node = await opened(server)
    await node.broker.publish("r", b"1")
    await asyncio.to_thread(server.kill)
    shutil.copytree(server.folder / "jetstream", tmp_path / "older")
    await asyncio.to_thread(server.start)
    await node.has_returned()
    other = await opened(server)
    await other.broker.subscribe("r")
    seen = [await node.broker.publish("r", payload) for payload in (b"2", b"3")]
    assert await offsets_delivered(other, 2) == [2, 3]
    await asyncio.to_thread(server.kill)
    server.forget()
    shutil.copytree(tmp_path / "older", server.folder / "jetstream")
    await asyncio.to_thread(server.start)
    await asyncio.gather(node.has_returned(), other.has_returned())
    again = await node.broker.publish("r", b"other 2")
    assert again.offset == 2
    assert again.epoch not in {position.epoch for position in seen}
    assert not (await other.broker.history("r", since=seen[-1])).complete
    assert await other.delivered() == ("r", again, b"other 2")
    assert [payload for _, payload in (await other.broker.history("r")).kept] == [b"1", b"other 2"]


async def test_where_the_offsets_were_is_forgotten_with_the_stream(server: NatsServer, opened: Open) -> None:
    node = await opened(server)
    await node.broker.subscribe("r")
    for _ in range(100):
        await node.broker.publish("s", b"which has the stream's lower numbers")
    for number in range(20):
        await node.broker.publish("r", b"%d" % number)
    await asyncio.to_thread(server.kill)
    server.forget()
    await asyncio.to_thread(server.start)
    await node.has_returned()
    positions = [await node.broker.publish("r", b"%d" % number) for number in range(40)]
    history = await node.broker.history("r", since=positions[9])
    assert [position for position, _ in history.kept] == positions[10:]
    assert history.complete


async def test_what_comes_while_a_node_connects_again_is_no_sign_of_a_loss(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, other = await opened(), await opened()
    await other.broker.subscribe("r")
    before = await node.broker.publish("r", b"1")
    assert await other.delivered() == ("r", before, b"1")

    async def find_slowly(*arguments: Any) -> Found:
        found = await find_or_make(*arguments)
        meanwhile = await node.broker.publish("r", b"2")
        assert await other.delivered() == ("r", meanwhile, b"2")
        return found

    monkeypatch.setattr("roomcast.rooms.brokers.nats.broker.find_or_make", find_slowly)
    assert other.broker._link is not None
    assert other.broker._link._connection is not None
    other.broker._link._connection.abort()
    other.broker._link._lost.set()
    await other.has_returned()
    after = await node.broker.publish("r", b"3")
    assert after == Position(3, before.epoch)
    assert await other.delivered() == ("r", after, b"3")


async def test_who_was_present_on_a_node_that_died_vanishes_on_one_of_the_others(opened: Open) -> None:
    dead, *others = [await opened(settings="&presence_ttl=1") for _ in range(4)]
    await dead.broker.arrive("r", "m1", b"one")
    await dead.broker.arrive("s", "m2", b"two")
    await others[0].broker.arrive("r", "m3", b"three")
    assert dead.broker._presence._beating is not None
    dead.broker._presence._beating.cancel()  # it gives no sign of life any more
    async with asyncio.timeout(2 * DEADLINE):
        while await others[0].broker.rooms() != {"r": 1}:  # noqa: ASYNC110 - it is time that is waited for
            await asyncio.sleep(0.05)
    await until(lambda: sum(len(node.gone) for node in others) == 2)
    assert sorted(gone for node in others for gone in node.gone) == [("r", b"one"), ("s", b"two")]
    assert await others[1].broker.present("r") == [b"three"]


async def test_who_was_declared_dead_and_is_not_comes_back(opened: Open) -> None:
    node, other = [await opened(settings="&presence_ttl=1") for _ in range(2)]
    await node.broker.arrive("r", "m", b"here")
    await node.broker._nodes.purge(node.broker._subjects.node(node.broker._presence.node))
    await other.broker._presence._remove_dead()
    assert other.gone == [("r", b"here")]
    await node.broker._presence._give_sign()
    assert await other.broker.present("r") == [b"here"]


async def test_presences_of_nodes_that_nobody_saw_die_vanish_at_the_next_start(opened: Open) -> None:
    dead = await opened(settings="&presence_ttl=0.5")
    await dead.broker.arrive("r", "m", b"one")
    assert dead.broker._presence._beating is not None
    dead.broker._presence._beating.cancel()
    async with asyncio.timeout(DEADLINE):
        while await dead.broker._nodes.subjects(dead.broker._subjects.nodes):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)
    node = await opened()
    assert node.gone == [("r", b"one")]
    assert await node.broker.rooms() == {}


async def test_who_departed_while_the_server_was_away_is_not_there_when_it_is_back(
    server: NatsServer, opened: Open
) -> None:
    node = await opened(server, "&timeout=1&presence_ttl=1")
    await node.broker.arrive("r", "m1", b"one")
    await node.broker.arrive("r", "m2", b"two")
    await asyncio.to_thread(server.kill)
    for departing in (node.broker.depart("r", "m1"), node.broker.arrive("r", "m3", b"three")):
        with pytest.raises(BrokerUnavailable):
            await departing
    await asyncio.to_thread(server.start)
    await node.has_returned()
    async with asyncio.timeout(DEADLINE):
        while await node.broker.present("r") != [b"two"]:  # noqa: ASYNC110 - it is time that is waited for
            await asyncio.sleep(0.05)


async def test_a_stream_that_was_removed_is_made_again_and_begins_new_epochs_on_all_nodes(opened: Open) -> None:
    node, other = await opened(), await opened()
    await node.broker.subscribe("r")
    before = [await broker.publish(room, b"a") for broker, room in ((node.broker, "r"), (other.broker, "s"))]
    assert await offsets_delivered(node, 1) == [1]
    await node.broker._log.stream.api("STREAM.DELETE")
    after = [await node.broker.publish("r", b"b")]
    await other.has_returned()
    after.append(await other.broker.publish("s", b"b"))
    assert [position.offset for position in after] == [1, 1]
    assert not {position.epoch for position in after} & {position.epoch for position in before}
    assert await offsets_delivered(node, 1) == [1]
    history = await other.broker.history("t")
    assert history.position == (await node.broker.history("t")).position


async def test_closing_while_the_server_is_frozen_takes_no_longer_than_an_answer_may(
    server: NatsServer, opened: Open
) -> None:
    node = await opened(server, "&timeout=2")
    with server.frozen():
        publishing = asyncio.create_task(node.broker.publish("r", b"x" * 500_000))
        await asyncio.sleep(0)
        await asyncio.wait_for(node.broker.close(), DEADLINE)
        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(publishing, DEADLINE)
