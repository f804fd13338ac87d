from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roomcast import Position
from roomcast.rooms.brokers import memory
from roomcast.rooms.brokers.memory import IDLE_ROOMS, KEYS, SWEEP_INTERVAL, MemoryBroker
from roomcast.rooms.retention import Retention, Retentions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEPT = MemoryBroker.retention
"""What a room keeps where nothing else is said."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def broker(clock: Clock) -> AsyncIterator[MemoryBroker]:
    broker = MemoryBroker(clock)
    await broker.open(lambda _room, _position, _payload: None)
    yield broker
    await broker.close()


def remembered(broker: MemoryBroker) -> set[str]:
    return set(broker._rooms)


async def sweep(broker: MemoryBroker, clock: Clock) -> None:
    """Give the broker an occasion to sweep, which it takes from any use of a room."""
    clock.advance(SWEEP_INTERVAL)
    await broker.history("another room")


# What is kept


async def test_the_newest_publications_are_kept_up_to_a_number(broker: MemoryBroker) -> None:
    for number in range(KEPT.size + 10):
        await broker.publish("r", str(number).encode())
    history = await broker.history("r")
    assert [payload for _, payload in history.kept] == [str(number + 10).encode() for number in range(KEPT.size)]
    assert history.kept[0][0].offset == 11
    assert history.position.offset == KEPT.size + 10


async def test_the_newest_publications_are_kept_up_to_a_size_in_bytes(broker: MemoryBroker) -> None:
    for _ in range(5):
        await broker.publish("r", bytes(KEPT.bytes // 4))
    assert [position.offset for position, _ in (await broker.history("r")).kept] == [2, 3, 4, 5]
    await broker.publish("r", b"x")
    assert [position.offset for position, _ in (await broker.history("r")).kept] == [3, 4, 5, 6]


async def test_a_publication_bigger_than_the_history_is_not_kept_but_has_its_place(broker: MemoryBroker) -> None:
    first = await broker.publish("r", b"small")
    await broker.publish("r", bytes(KEPT.bytes + 1))
    history = await broker.history("r", since=first)
    assert (history.kept, history.position.offset, history.complete) == ([], 2, False)
    await broker.publish("r", b"after")
    assert [position.offset for position, _ in (await broker.history("r")).kept] == [3]


async def test_publications_are_kept_for_a_time(broker: MemoryBroker, clock: Clock) -> None:
    await broker.publish("r", b"old")
    clock.advance(KEPT.age / 2)
    await broker.publish("r", b"young")
    clock.advance(KEPT.age / 2 - 0.001)
    assert len((await broker.history("r")).kept) == 2
    clock.advance(0.001)
    assert [payload for _, payload in (await broker.history("r")).kept] == [b"young"]


@pytest.mark.parametrize(("since", "complete"), [(0, False), (9, False), (10, True), (11, True)])
async def test_history_is_complete_where_it_reaches_back_to_what_was_asked_for(
    broker: MemoryBroker, since: int, complete: bool
) -> None:
    for _ in range(KEPT.size + 10):
        position = await broker.publish("r", b"")
    history = await broker.history("r", since=Position(since, position.epoch))
    assert history.complete is complete


async def test_what_has_grown_too_old_is_missing_for_whoever_asks_for_it(
    broker: MemoryBroker, clock: Clock
) -> None:
    await broker.subscribe("r")
    first = await broker.publish("r", b"a")
    second = await broker.publish("r", b"b")
    clock.advance(KEPT.age)
    assert not (await broker.history("r", since=first)).complete
    assert (await broker.history("r", since=second)).complete


async def test_the_newest_keys_are_known_up_to_a_number(broker: MemoryBroker) -> None:
    for number in range(KEYS + 1):
        await broker.publish("r", b"", key=str(number))
    assert (await broker.publish("r", b"", key="1")).offset == 2
    assert (await broker.publish("r", b"", key="0")).offset == KEYS + 2


# What is forgotten


async def test_a_room_that_nobody_uses_is_forgotten_with_its_history(broker: MemoryBroker, clock: Clock) -> None:
    first = await broker.publish("r", b"a", key="k")
    clock.advance(KEPT.age)
    await sweep(broker, clock)
    assert "r" not in remembered(broker)
    again = await broker.publish("r", b"a", key="k")
    assert again.offset == 1
    assert again.epoch != first.epoch
    assert not (await broker.history("r", since=first)).complete


async def test_a_room_that_nobody_uses_is_remembered_for_a_while(broker: MemoryBroker, clock: Clock) -> None:
    first = await broker.publish("r", b"a")
    clock.advance(KEPT.age - SWEEP_INTERVAL - 1)
    await sweep(broker, clock)
    assert (await broker.publish("r", b"b")) == Position(2, first.epoch)


async def test_a_room_with_a_member_is_never_forgotten(broker: MemoryBroker, clock: Clock) -> None:
    first = await broker.publish("r", b"a")
    await broker.arrive("r", "m", b"")
    clock.advance(10 * KEPT.age)
    await sweep(broker, clock)
    assert (await broker.publish("r", b"b")) == Position(2, first.epoch)
    await broker.depart("r", "m")
    clock.advance(KEPT.age)
    await sweep(broker, clock)
    assert "r" not in remembered(broker)


async def test_a_subscribed_room_is_never_forgotten(broker: MemoryBroker, clock: Clock) -> None:
    first = await broker.publish("r", b"a")
    await broker.subscribe("r")
    clock.advance(10 * KEPT.age)
    await sweep(broker, clock)
    assert (await broker.history("r")).position == first
    await broker.unsubscribe("r")
    clock.advance(KEPT.age)
    await sweep(broker, clock)
    assert "r" not in remembered(broker)


async def test_rooms_that_were_only_asked_for_are_forgotten_too(broker: MemoryBroker, clock: Clock) -> None:
    for number in range(100):
        await broker.history(str(number))
        await broker.depart(f"left {number}", "m")
    clock.advance(KEPT.age)
    await sweep(broker, clock)
    assert remembered(broker) == {"another room"}


async def test_a_sweep_is_made_once_in_an_interval(
    broker: MemoryBroker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps: list[float] = []
    monkeypatch.setattr(broker, "_sweep", sweeps.append)
    for _ in range(10):
        await broker.publish("r", b"")
    clock.advance(SWEEP_INTERVAL)
    for _ in range(10):
        await broker.publish("r", b"")
    assert len(sweeps) == 2


async def test_closing_forgets_everything(broker: MemoryBroker) -> None:
    await broker.publish("r", b"a")
    await broker.arrive("r", "m", b"")
    await broker.close()
    assert remembered(broker) == set()
    assert await broker.rooms() == {}


async def test_without_a_clock_the_event_loops_counts() -> None:
    broker = MemoryBroker()
    await broker.open(lambda *_: None, Retentions(Retention(size=9, bytes=9, age=1e-9)))
    await broker.publish("r", b"a")
    assert (await broker.history("r")).kept == []


async def test_idle_rooms_are_remembered_up_to_a_number_the_longest_unused_go(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert IDLE_ROOMS == 10_000
    monkeypatch.setattr(memory, "IDLE_ROOMS", 3)
    await broker.subscribe("in use")
    for name in "abc":
        await broker.publish(name, b"")
    await broker.history("a")
    await broker.publish("d", b"")
    assert remembered(broker) == {"in use", "c", "a", "d"}
    for number in range(10):
        await broker.subscribe(f"in use {number}")
    assert remembered(broker) >= {"c", "a", "d"}
    await broker.publish("e", b"")
    assert remembered(broker) & set("acde") == set("ade")
