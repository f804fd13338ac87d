from __future__ import annotations

import asyncio

import pytest

from roomcast.rooms.pace import DELIVERIES, Pace


class Turns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._running = True
        self._next()

    def _next(self) -> None:
        if self._running:
            self.count += 1
            asyncio.get_running_loop().call_soon(self._next)

    def stop(self) -> None:
        self._running = False


async def test_little_takes_no_turn() -> None:
    turns = Turns()
    pace = Pace(10_000)
    for _ in range(10):
        await pace.take(100)
    assert turns.count == 1
    turns.stop()


@pytest.mark.parametrize("size", [0, 100, 2000])
async def test_what_is_too_much_for_one_turn_takes_several(size: int) -> None:
    turns = Turns()
    pace = Pace(10_000)
    made: dict[int, int] = {}
    for _ in range(1000):
        await pace.take(size)
        made[turns.count] = made.get(turns.count, 0) + 1
    assert max(made.values()) * size <= 10_000
    assert max(made.values()) <= 100
    assert turns.count <= 1.5 * 1000 * (size + 128) / 10_000
    turns.stop()


async def test_one_publication_fits_a_turn_whatever_its_size() -> None:
    turns = Turns()
    pace = Pace(100)
    for number in range(1, 6):
        await pace.take(1_000_000)
        assert turns.count == number
    turns.stop()


async def test_those_who_come_at_once_go_in_the_order_in_which_they_came() -> None:
    pace = Pace(1000)
    went: list[int] = []

    async def go(number: int) -> None:
        await pace.take(600)
        went.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(go(number))
    assert went == list(range(20))


async def test_one_who_gives_up_holds_up_nobody() -> None:
    pace = Pace(1000)
    first, giving_up, last = [asyncio.ensure_future(pace.take(1000)) for _ in range(3)]
    await asyncio.sleep(0)
    giving_up.cancel()
    await asyncio.wait_for(last, 5)
    assert first.done()
    assert giving_up.cancelled()


async def test_what_goes_to_thousands_takes_a_turn_each() -> None:
    turns = Turns()
    pace = Pace(1_000_000)
    for number in range(1, 6):
        await pace.take(1)
        assert turns.count == number
        pace.delivered(DELIVERIES)
    turns.stop()


async def test_what_goes_to_few_shares_a_turn_until_it_is_many() -> None:
    turns = Turns()
    pace = Pace(1_000_000)
    for number in range(30):
        await pace.take(1)
        assert turns.count == 1 + number // 10
        pace.delivered(DELIVERIES // 10)
    turns.stop()


async def test_what_came_from_elsewhere_counts_for_its_own_turn_only() -> None:
    turns = Turns()
    pace = Pace(1_000_000)
    pace.delivered(5 * DELIVERIES)
    await pace.take(1)
    assert turns.count == 2
    await pace.take(1)
    assert turns.count == 2
    turns.stop()
