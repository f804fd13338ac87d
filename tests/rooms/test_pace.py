from __future__ import annotations

import asyncio

import pytest

from roomcast.rooms.pace import PUBLICATION, WORK, Pace


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
    # A turn, and the one in which who waits is woken.
    assert turns.count <= 2.5 * 1000 * max((size + 128) / 10_000, PUBLICATION / WORK)
    turns.stop()


async def test_one_publication_fits_a_turn_whatever_its_size() -> None:
    turns = Turns()
    pace = Pace(100)
    made = set()
    for _ in range(5):
        await pace.take(1_000_000)
        made.add(turns.count)
    assert len(made) == 5
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
    made = set()
    for _ in range(5):
        await pace.take(1)
        made.add(turns.count)
        pace.delivered(WORK)
    assert len(made) == 5
    turns.stop()


async def test_what_goes_to_few_shares_a_turn_until_it_is_many() -> None:
    turns = Turns()
    pace = Pace(1_000_000)
    made: dict[int, int] = {}
    for _ in range(30):
        await pace.take(1)
        made[turns.count] = made.get(turns.count, 0) + 1
        pace.delivered(WORK // 10 - PUBLICATION)
    assert list(made.values()) == [10, 10, 10]
    turns.stop()


async def test_what_came_from_elsewhere_counts_for_its_own_turn_only() -> None:
    turns = Turns()
    pace = Pace(1_000_000)
    pace.delivered(5 * WORK)
    await pace.take(1)
    turn = turns.count
    assert turn > 1
    await pace.take(1)
    assert turns.count == turn
    turns.stop()


async def test_who_publishes_without_end_leaves_every_turn_to_the_others_too() -> None:
    pace = Pace(1_000_000)
    went: list[str] = []

    async def publish(name: str, times: int) -> None:
        for _ in range(times):
            await pace.take(1)
            went.append(name)
            pace.delivered(WORK // 10)

    greedy = [asyncio.create_task(publish("greedy", 1000)) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.wait_for(publish("modest", 20), 5)
    # Two turns for each: in the one it waits, and what a turn has room for is 8 of them.
    assert went.count("greedy") <= 20 * 2 * 10
    for task in greedy:
        task.cancel()


async def test_what_comes_from_elsewhere_does_not_make_what_is_published_here_look_large() -> None:
    turns = Turns()
    pace = Pace(1_000_000)
    pace.delivered(2 * WORK)
    waiting = [asyncio.create_task(pace.take(1)) for _ in range(20)]
    for _ in range(WORK // 5):
        pace.delivered(10)
    await asyncio.gather(*waiting)
    assert turns.count <= 6
    turns.stop()
