"""When a publication is delivered and acknowledged, and what waits meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import BrokerUnavailable, Position, Rooms
from roomcast.rooms.brokers.sqlite import SqliteBroker, broker
from roomcast.rooms.brokers.sqlite.url import Location
from tests.rooms.guests import settled, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.rooms.brokers.node import Node
    from tests.rooms.brokers.sqlite.conftest import Open


@contextmanager
def slow_disk(path: Path) -> Iterator[None]:
    """Let nothing be written for as long as the block lasts: a lock is waited for, for a while."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


def publishing(node: Node, room: str, *payloads: bytes, keep: bool = True) -> list[asyncio.Task[Position]]:
    """Publish each from a task of its own."""
    return [asyncio.create_task(node.broker.publish(room, payload, keep=keep)) for payload in payloads]


def inside(node: Node) -> Any:
    """The broker, with what no test of another one may look at."""
    assert isinstance(node.broker, SqliteBroker)
    return node.broker


async def test_nothing_is_delivered_or_acknowledged_before_it_is_on_the_disk(node: Node, path: Path) -> None:
    await node.broker.subscribe("r")
    with slow_disk(path):
        (task,) = publishing(node, "r", b"a")
        await settled()
        assert node.so_far() == []
        assert not task.done()
    position = await task
    assert node.so_far() == [("r", position, b"a")]


async def test_what_is_published_while_the_disk_is_busy_is_written_together(
    node: Node, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    file = inside(node)._file
    process = file.process

    def counted(requests: list[object]) -> None:
        commits.append(len(requests))
        process(requests)

    monkeypatch.setattr(file, "process", counted)
    with slow_disk(path):
        tasks = publishing(node, "r", b"first")
        await until(lambda: commits)
        tasks += publishing(node, "r", *(b"%d" % number for number in range(100)))
        await settled()
    positions = await asyncio.gather(*tasks)
    assert [position.offset for position in positions] == list(range(1, 102))
    assert commits == [1, 100]


async def test_what_is_not_kept_waits_for_no_disk_where_nothing_of_its_room_is_on_the_way(
    node: Node, path: Path
) -> None:
    await node.broker.subscribe("r")
    await node.broker.subscribe("busy")
    with slow_disk(path):
        tasks = publishing(node, "busy", b"kept")
        await settled()
        position = await node.broker.publish("r", b"passing", keep=False)
        assert position.offset == 0
        assert node.so_far() == [("r", None, b"passing")]
        assert not tasks[0].done()
    await asyncio.gather(*tasks)


async def test_what_is_not_kept_comes_behind_what_was_published_before_it(node: Node, path: Path) -> None:
    await node.broker.subscribe("r")
    with slow_disk(path):
        tasks = publishing(node, "r", b"kept 1") + publishing(node, "r", b"passing 1", b"passing 2", keep=False)
        tasks += publishing(node, "r", b"kept 2")
        await settled()
        assert node.so_far() == []
    await asyncio.gather(*tasks)
    assert [payload for _, _, payload in node.so_far()] == [b"kept 1", b"passing 1", b"passing 2", b"kept 2"]


async def test_what_waits_for_the_disk_is_bounded_and_publishers_wait(
    monkeypatch: pytest.MonkeyPatch, opened: Open, path: Path
) -> None:
    monkeypatch.setattr(broker, "WAITING_BYTES", 10_000)
    node = await opened(path)
    with slow_disk(path):
        tasks = publishing(node, "r", *(bytes([number]) * 1000 for number in range(100)))
        await settled()
        assert 5_000 <= inside(node)._space._taken <= 10_000
        tasks[50].cancel()
        await settled()
    await asyncio.gather(*tasks, return_exceptions=True)
    kept = [payload[0] for _, payload in (await node.broker.history("r")).kept]
    assert kept == [number for number in range(100) if number != 50]
    assert inside(node)._space._taken == 0


async def test_one_publication_bigger_than_the_bound_is_published(
    monkeypatch: pytest.MonkeyPatch, opened: Open, path: Path
) -> None:
    monkeypatch.setattr(broker, "WAITING_BYTES", 100)
    node = await opened(path)
    tasks = publishing(node, "r", bytes(1000), bytes(1000))
    assert [position.offset for position in await asyncio.gather(*tasks)] == [1, 2]


async def test_many_that_were_written_together_are_delivered_in_several_turns(
    monkeypatch: pytest.MonkeyPatch, node: Node, path: Path
) -> None:
    monkeypatch.setattr(SqliteBroker._take_turn, "__defaults__", (10_000,))
    await node.broker.subscribe("r")
    turns: list[int] = []
    with slow_disk(path):
        tasks = publishing(node, "r", *(b"x" * 1000 for _ in range(50)))
        await settled()
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        if delivered := node.so_far():
            turns.append(len(delivered))
    assert sum(turns) == 50
    assert max(turns) < 10


async def test_closing_waits_for_what_is_on_the_way_and_turns_away_what_has_not_come_so_far(
    monkeypatch: pytest.MonkeyPatch, opened: Open, path: Path
) -> None:
    monkeypatch.setattr(broker, "WAITING_BYTES", 10_000)
    node = await opened(path)
    await node.broker.subscribe("r")
    with slow_disk(path):
        tasks = publishing(node, "r", *(bytes(1000) for _ in range(100)))
        await settled()
        closing = asyncio.create_task(node.broker.close())
        await settled()
        assert not closing.done()
        with pytest.raises(BrokerUnavailable, match="not open"):
            await node.broker.publish("r", b"too late")
    await closing
    results = await asyncio.gather(*tasks, return_exceptions=True)
    kept = [result for result in results if isinstance(result, Position)]
    assert all(isinstance(result, BrokerUnavailable) for result in results if result not in kept)
    assert 1 <= len(kept) < 10
    assert len(node.so_far()) == len(kept)
    node = await opened(path)
    assert [position for position, _ in (await node.broker.history("r")).kept] == kept


async def test_a_publisher_that_is_cancelled_harms_nobody(node: Node, path: Path) -> None:
    await node.broker.subscribe("r")
    with slow_disk(path):
        tasks = publishing(node, "r", b"a", b"b")
        await settled()
        tasks[0].cancel()
        await settled()
    position = await tasks[1]
    assert position.offset == 2
    assert [payload for _, _, payload in node.so_far()] == [b"a", b"b"]


async def test_rooms_that_nobody_is_in_leave_nothing_in_memory(node: Node) -> None:
    for number in range(50):
        room = f"{number}"
        await node.broker.publish(room, b"")
        await node.broker.history(room)
        await node.broker.subscribe(room)
        await node.broker.arrive(room, "m", b"")
        await node.broker.depart(room, "m")
        await node.broker.unsubscribe(room)
    assert inside(node)._rooms == {}
    assert inside(node)._present == {}


async def test_a_delivery_that_fails_is_logged_and_the_next_one_goes_on(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    delivered = []

    def deliver(_room: str, _position: Position | None, payload: bytes) -> None:
        if payload == b"bad":
            raise ValueError("a payload that cannot be read")
        delivered.append(payload)

    broker = SqliteBroker(Location(path))
    await broker.open(deliver)
    await broker.subscribe("r")
    assert (await broker.publish("r", b"bad")).offset == 1
    assert (await broker.publish("r", b"good")).offset == 2
    assert delivered == [b"good"]
    assert "could not be delivered" in caplog.text
    await broker.close()


async def test_a_fault_of_the_brokers_own_is_told_to_the_publisher_and_is_not_the_end(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("roomcast.rooms.brokers.sqlite.tables.Tables.publish", lambda *_: 1 / 0)
        with pytest.raises(BrokerUnavailable, match="the broker failed: ZeroDivisionError"):
            await node.broker.publish("r", b"")
    assert "the broker failed" in caplog.text
    assert (await node.broker.publish("r", b"")).offset == 1


async def test_normal_synchronous_keeps_epochs_over_an_end_in_order_and_renews_them_after_any_other(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await opened(path, synchronous="normal")
    first = await node.broker.publish("r", b"a")
    await node.broker.close()
    node = await opened(path, synchronous="normal")
    assert (await node.broker.history("r", since=first)).complete
    # A power failure may have taken the last of it: as if the end in order had never been.
    with monkeypatch.context() as killed:
        killed.setattr("roomcast.rooms.brokers.sqlite.ownership.Ownership.mark", lambda *_, on: on)
        await node.broker.close()
    node = await opened(path)
    history = await node.broker.history("r", since=first)
    assert not history.complete
    assert history.position.offset == 1
    renewed = history.position
    await node.broker.close()
    node = await opened(path)
    assert (await node.broker.history("r")).position == renewed


async def test_rooms_in_a_file_go_on_after_a_restart(path: Path) -> None:
    url = f"sqlite:///{path}"
    async with Rooms(url) as rooms:
        before = await rooms.publish("r", "one", key="k")
    async with Rooms(url) as rooms:
        assert await rooms.publish("r", "one", key="k") == before
        after = await rooms.publish("r", {"two": 2})
        assert after == Position(2, before.epoch)
        assert [kept.data for kept in await rooms.history("r")] == ["one", '{"two":2}']
