"""The file does not grow for ever: what is over a bound goes, and its space is used again or given back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from roomcast import Position, Retention
from roomcast.rooms.brokers.sqlite import SqliteBroker, broker, tables
from roomcast.rooms.retention import Retentions
from tests.rooms.guests import until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.rooms.brokers.node import Node
    from tests.rooms.brokers.sqlite.conftest import Clock, Open

HOUR = 3600.0
KEPT = SqliteBroker.retention


async def sweep(node: Node) -> None:
    """Have the broker look for what is too old, until it has found all."""
    swept = []
    original = node.broker._swept  # type: ignore[attr-defined]

    def note(sweep: object) -> None:
        original(sweep)
        if not sweep.more:  # type: ignore[attr-defined]
            swept.append(sweep)

    node.broker._swept = note  # type: ignore[attr-defined]
    node.broker._sweep()  # type: ignore[attr-defined]
    await until(lambda: swept)
    node.broker._swept = original  # type: ignore[attr-defined]


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found)


async def test_what_is_too_old_goes_from_the_file_with_the_room_and_its_keys(
    node: Node, path: Path, clock: Clock
) -> None:
    first = await node.broker.publish("r", b"a", key="k")
    clock.now += KEPT.age - HOUR
    await sweep(node)
    assert count(path, "publications") == 1
    assert count(path, "keys") == 0, "a key is known for a week"
    clock.now += 2 * HOUR
    await sweep(node)
    assert [count(path, table) for table in ("publications", "rooms", "keys")] == [0, 0, 0]
    again = await node.broker.publish("r", b"a", key="k")
    assert again.offset == 1
    assert again.epoch != first.epoch
    assert not (await node.broker.history("r", since=first)).complete


async def test_a_room_that_somebody_is_in_is_not_forgotten(node: Node, path: Path, clock: Clock) -> None:
    await node.broker.subscribe("r")
    first = await node.broker.publish("r", b"a")
    for _ in range(3):
        clock.now += KEPT.age * 2
        await sweep(node)
        assert (await node.broker.history("r")).position == first
    assert count(path, "publications") == 0
    second = await node.broker.publish("r", b"b")
    assert second == Position(2, first.epoch)
    await node.broker.unsubscribe("r")
    clock.now += KEPT.age * 2
    await sweep(node)
    assert count(path, "rooms") == 0


async def test_an_empty_rooms_epoch_outlives_a_restart(opened: Open, path: Path) -> None:
    node = await opened(path)
    empty = (await node.broker.history("r")).position
    await node.broker.close()
    node = await opened(path)
    first = await node.broker.publish("r", b"a")
    assert first == Position(1, empty.epoch)
    history = await node.broker.history("r", since=empty)
    assert history.complete
    assert history.kept == [(first, b"a")]
    assert count(path, "rooms") == 1, "asking for a room does not make it"


async def test_keys_are_known_up_to_an_age_and_a_number(
    node: Node, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "KEYS", 10)
    monkeypatch.setattr(tables, "KEYS_SLACK", 5)
    for number in range(40):
        clock.now += 1
        await node.broker.publish("r", b"", key=str(number))
    assert 10 <= count(path, "keys") <= 15
    for number in range(30, 40):
        assert (await node.broker.publish("r", b"", key=str(number))).offset == number + 1
    clock.now += tables.KEYS_AGE
    assert (await node.broker.publish("r", b"", key="39")).offset == 41


async def test_less_to_keep_than_before_a_restart_shrinks_the_rooms(opened: Open, path: Path) -> None:
    node = await opened(path)
    for room in ("much", "little"):
        for _ in range(20):
            await node.broker.publish(room, b"")
    await node.broker.close()
    node = await opened(path, retentions=Retentions({"l*": Retention(size=5, bytes=100, age=KEPT.age)}))
    await sweep(node)
    assert count(path, "publications") == 25
    offsets = [position.offset for position, _ in (await node.broker.history("little")).kept]
    assert offsets == [16, 17, 18, 19, 20]


async def test_over_their_bound_the_rooms_that_were_not_used_for_longest_are_forgotten(
    node: Node, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROOMS", 3)
    await node.broker.subscribe("in use")
    for room in ("in use", *"abcdef"):
        clock.now += 1
        await node.broker.publish(room, b"")
    await sweep(node)
    with closing(sqlite3.connect(path)) as connection:
        left = {room for (room,) in connection.execute("SELECT name FROM rooms")}
    assert left == {"in use", "d", "e", "f"}


async def test_the_file_does_not_grow_with_what_has_passed_through_it(opened: Open, path: Path) -> None:
    node = await opened(path, retentions=Retentions(Retention(size=50, bytes=100_000, age=HOUR)))
    sizes = []
    for _ in range(6):
        for _ in range(100):
            await node.broker.publish("r", bytes(10_000))
        sizes.append(path.stat().st_size + path.with_name("rooms.db-wal").stat().st_size)
    assert max(sizes[2:]) < 6 << 20
    assert sizes[-1] <= max(sizes[:3])


async def test_space_that_is_free_is_given_back(opened: Open, path: Path, clock: Clock) -> None:
    node = await opened(path)
    for _ in range(300):
        await node.broker.publish("r", bytes(10_000))
    await node.broker.close()
    before = path.stat().st_size
    node = await opened(path)
    clock.now += KEPT.age * 2
    for _ in range(5):
        await sweep(node)
    await node.broker.close()
    assert before > 3_000_000
    assert path.stat().st_size < before // 3


async def test_what_is_too_old_is_looked_for_by_itself(
    monkeypatch: pytest.MonkeyPatch, opened: Open, path: Path, clock: Clock
) -> None:
    monkeypatch.setattr(broker, "SWEEP_INTERVAL", 0.01)
    node = await opened(path)
    await node.broker.publish("r", b"a")
    clock.now += KEPT.age + 1
    await until(lambda: count(path, "rooms") == 0)


async def test_a_clock_that_goes_back_makes_no_gap(node: Node, clock: Clock) -> None:
    await node.broker.publish("r", b"a")
    clock.now -= KEPT.age * 2
    await node.broker.publish("r", b"b")
    clock.now += KEPT.age * 2
    assert [payload for _, payload in (await node.broker.history("r")).kept] == [b"a", b"b"]
