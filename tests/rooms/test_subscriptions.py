from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roomcast import BrokerUnavailable
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.rooms.subscriptions import Subscriptions
from tests.rooms.guests import DEADLINE, settled, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Gate(MemoryBroker):
    """A broker that takes its time, and may fail: what it was asked for is noted when it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.asked = 0
        self.open_gate = asyncio.Event()
        self.open_gate.set()
        self.fails = False

    async def subscribe(self, room: str) -> None:
        await self._pass()
        self.done.append(f"+{room}")

    async def unsubscribe(self, room: str) -> None:
        await self._pass()
        self.done.append(f"-{room}")

    async def _pass(self) -> None:
        self.asked += 1
        await self.open_gate.wait()
        if self.fails:
            raise BrokerUnavailable("down")


@pytest.fixture
def broker() -> Gate:
    return Gate()


@pytest.fixture
async def subscriptions(broker: Gate) -> AsyncIterator[Subscriptions]:
    subscriptions = Subscriptions(broker, linger=0)
    yield subscriptions
    await subscriptions.close()


async def forgets(subscriptions: Subscriptions) -> None:
    """Wait until all is forgotten."""
    await until(lambda: not subscriptions._rooms)
    await until(lambda: subscriptions._unsubscribing is None)
    assert not subscriptions._lingering


async def test_the_first_subscribes_and_the_last_unsubscribes(broker: Gate, subscriptions: Subscriptions) -> None:
    for _ in range(3):
        await subscriptions.acquire("r")
    await subscriptions.acquire("other")
    for _ in range(2):
        subscriptions.release("r")
    assert broker.done == ["+r", "+other"]
    subscriptions.release("r")
    await until(lambda: broker.done == ["+r", "+other", "-r"])
    await subscriptions.acquire("r")
    assert broker.done[-1] == "+r"


async def test_nothing_is_kept_of_a_room_that_nobody_needs(subscriptions: Subscriptions) -> None:
    await subscriptions.acquire("r")
    subscriptions.release("r")
    await forgets(subscriptions)


async def test_the_second_waits_until_the_first_has_subscribed(broker: Gate, subscriptions: Subscriptions) -> None:
    broker.open_gate.clear()
    first = asyncio.ensure_future(subscriptions.acquire("r"))
    second = asyncio.ensure_future(subscriptions.acquire("r"))
    await until(lambda: broker.asked)
    assert not first.done()
    assert not second.done()
    broker.open_gate.set()
    await asyncio.gather(first, second)
    assert broker.done == ["+r"]


async def test_one_who_comes_while_the_last_leaves_is_subscribed_in_the_end(
    broker: Gate, subscriptions: Subscriptions
) -> None:
    await subscriptions.acquire("r")
    broker.open_gate.clear()
    subscriptions.release("r")
    await until(lambda: broker.asked == 2)
    coming = asyncio.ensure_future(subscriptions.acquire("r"))
    await settled()
    broker.open_gate.set()
    await coming
    assert broker.done == ["+r", "-r", "+r"]
    subscriptions.release("r")
    await forgets(subscriptions)


async def test_one_who_comes_soon_after_the_last_has_gone_costs_the_broker_nothing(broker: Gate) -> None:
    subscriptions = Subscriptions(broker, linger=0.05)
    for _ in range(3):
        await subscriptions.acquire("r")
        subscriptions.release("r")
        await settled()
    assert broker.done == ["+r"]
    await forgets(subscriptions)
    assert broker.done == ["+r", "-r"]


async def test_a_room_that_is_needed_again_is_checked_before_it_is_unsubscribed(broker: Gate) -> None:
    subscriptions = Subscriptions(broker, linger=0.02)
    await subscriptions.acquire("r")
    await subscriptions.acquire("other")
    subscriptions.release("r")
    await settled()
    await subscriptions.acquire("r")
    subscriptions.release("other")
    await until(lambda: subscriptions._unsubscribing is None)
    assert broker.done == ["+r", "+other", "-other"]
    subscriptions.release("r")
    await forgets(subscriptions)
    assert broker.done[-1] == "-r"


async def test_one_who_comes_back_lingers_anew(broker: Gate) -> None:
    """The time counts from the last leave, and not from the first."""
    subscriptions = Subscriptions(broker, linger=3600)
    await subscriptions.acquire("r")
    subscriptions.release("r")
    first = subscriptions._lingering["r"]
    await asyncio.sleep(0.001)
    await subscriptions.acquire("r")
    assert subscriptions._lingering == {}
    subscriptions.release("r")
    assert subscriptions._lingering["r"] > first
    await subscriptions.close()


async def test_closing_waits_for_no_room_that_lingers_and_keeps_nothing(broker: Gate) -> None:
    subscriptions = Subscriptions(broker, linger=3600)
    for number in range(3):
        await subscriptions.acquire(str(number))
    for number in range(2):
        subscriptions.release(str(number))
    await subscriptions.close()
    assert not subscriptions._rooms
    assert not subscriptions._lingering
    subscriptions.release("2")  # a farewell that comes late
    assert broker.done == ["+0", "+1", "+2"]


async def test_closing_while_a_room_is_unsubscribed_from_does_not_wait(
    broker: Gate, subscriptions: Subscriptions
) -> None:
    await subscriptions.acquire("r")
    broker.open_gate.clear()
    subscriptions.release("r")
    await until(lambda: broker.asked == 2)
    await asyncio.wait_for(subscriptions.close(), DEADLINE)
    assert subscriptions._rooms == {}


async def test_one_task_sees_to_a_thousand_rooms(broker: Gate) -> None:
    subscriptions = Subscriptions(broker, linger=0.05)
    before = len(asyncio.all_tasks())
    for number in range(1000):
        await subscriptions.acquire(str(number))
        subscriptions.release(str(number))
    assert len(asyncio.all_tasks()) == before + 1
    await forgets(subscriptions)
    assert sorted(broker.done) == sorted(f"{sign}{number}" for number in range(1000) for sign in "+-")


async def test_only_so_many_rooms_linger(broker: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomcast.rooms.subscriptions.MOST_LINGERING", 2)
    subscriptions = Subscriptions(broker, linger=3600)
    for number in range(5):
        await subscriptions.acquire(str(number))
    for number in range(5):
        subscriptions.release(str(number))
    await until(lambda: len(subscriptions._rooms) == 2)
    assert broker.done[5:] == ["-0", "-1", "-2"]
    await subscriptions.close()


async def test_one_who_comes_while_the_first_still_subscribes_keeps_the_subscription(
    broker: Gate, subscriptions: Subscriptions
) -> None:
    broker.open_gate.clear()
    first = asyncio.ensure_future(subscriptions.acquire("r"))
    await until(lambda: broker.asked)
    first.cancel()
    coming = asyncio.ensure_future(subscriptions.acquire("r"))
    broker.open_gate.set()
    await coming
    assert broker.done == ["+r"]
    subscriptions.release("r")
    await until(lambda: broker.done == ["+r", "-r"])


async def test_a_subscription_that_fails_is_tried_again_by_the_next(
    broker: Gate, subscriptions: Subscriptions
) -> None:
    broker.fails = True
    with pytest.raises(BrokerUnavailable):
        await subscriptions.acquire("r")
    assert subscriptions._rooms == {}
    broker.fails = False
    await subscriptions.acquire("r")
    assert broker.done == ["+r"]


async def test_the_one_who_waited_for_a_subscription_that_failed_tries_itself(
    broker: Gate, subscriptions: Subscriptions
) -> None:
    broker.open_gate.clear()
    broker.fails = True
    first = asyncio.ensure_future(subscriptions.acquire("r"))
    second = asyncio.ensure_future(subscriptions.acquire("r"))
    await until(lambda: broker.asked)
    broker.open_gate.set()
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(result) for result in results] == [BrokerUnavailable, BrokerUnavailable]
    assert broker.asked == 2
    assert subscriptions._rooms == {}


async def test_an_unsubscription_that_fails_leaves_nothing_behind_and_is_logged(
    broker: Gate, subscriptions: Subscriptions, caplog: pytest.LogCaptureFixture
) -> None:
    await subscriptions.acquire("r")
    broker.fails = True
    subscriptions.release("r")
    await forgets(subscriptions)
    [record] = caplog.records
    assert record.getMessage() == "the broker was not told that nobody needs room 'r' any more: down"
    broker.fails = False
    await subscriptions.acquire("r")
    assert broker.done == ["+r", "+r"]


@pytest.mark.parametrize("position", [0, 1])
async def test_one_who_gives_up_while_waiting_needs_the_room_no_more(
    broker: Gate, subscriptions: Subscriptions, position: int
) -> None:
    broker.open_gate.clear()
    acquiring = [asyncio.ensure_future(subscriptions.acquire("r")) for _ in range(2)]
    await until(lambda: broker.asked)
    acquiring.pop(position).cancel()
    await asyncio.sleep(0)
    broker.open_gate.set()
    await acquiring[0]
    assert broker.done == ["+r"]
    subscriptions.release("r")
    await forgets(subscriptions)
    assert broker.done == ["+r", "-r"]


async def test_all_who_give_up_leave_nothing_behind(broker: Gate, subscriptions: Subscriptions) -> None:
    broker.open_gate.clear()
    acquiring = [asyncio.ensure_future(subscriptions.acquire("r")) for _ in range(3)]
    await until(lambda: broker.asked)
    for task in acquiring:
        task.cancel()
    await asyncio.wait(acquiring)
    assert subscriptions._rooms == {}
    assert broker.done == []
