from __future__ import annotations

import asyncio

import pytest

from roomcast import BrokerUnavailable
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.rooms.subscriptions import Subscriptions
from tests.rooms.guests import until


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
def subscriptions(broker: Gate) -> Subscriptions:
    return Subscriptions(broker)


async def test_the_first_subscribes_and_the_last_unsubscribes(broker: Gate, subscriptions: Subscriptions) -> None:
    for _ in range(3):
        await subscriptions.acquire("r")
    await subscriptions.acquire("other")
    for _ in range(2):
        await subscriptions.release("r")
    assert broker.done == ["+r", "+other"]
    await subscriptions.release("r")
    assert broker.done == ["+r", "+other", "-r"]
    await subscriptions.acquire("r")
    assert broker.done[-1] == "+r"


async def test_nothing_is_kept_of_a_room_that_nobody_needs(subscriptions: Subscriptions) -> None:
    await subscriptions.acquire("r")
    await subscriptions.release("r")
    assert subscriptions._rooms == {}


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
    leaving = asyncio.ensure_future(subscriptions.release("r"))
    await until(lambda: broker.asked == 2)
    coming = asyncio.ensure_future(subscriptions.acquire("r"))
    broker.open_gate.set()
    await asyncio.gather(leaving, coming)
    assert broker.done == ["+r", "-r", "+r"]
    await subscriptions.release("r")
    assert subscriptions._rooms == {}


async def test_one_who_comes_before_the_last_is_out_keeps_the_subscription(
    broker: Gate, subscriptions: Subscriptions
) -> None:
    broker.open_gate.clear()
    first = asyncio.ensure_future(subscriptions.acquire("r"))
    await until(lambda: broker.asked)
    leaving = asyncio.ensure_future(subscriptions.release("r"))
    coming = asyncio.ensure_future(subscriptions.acquire("r"))
    broker.open_gate.set()
    await asyncio.gather(first, leaving, coming)
    assert broker.done == ["+r"]
    await subscriptions.release("r")
    assert broker.done == ["+r", "-r"]


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


async def test_an_unsubscription_that_fails_leaves_nothing_behind(
    broker: Gate, subscriptions: Subscriptions
) -> None:
    await subscriptions.acquire("r")
    broker.fails = True
    with pytest.raises(BrokerUnavailable):
        await subscriptions.release("r")
    assert subscriptions._rooms == {}
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
    await subscriptions.release("r")
    assert broker.done == ["+r", "-r"]
    assert subscriptions._rooms == {}


async def test_all_who_give_up_leave_nothing_behind(broker: Gate, subscriptions: Subscriptions) -> None:
    broker.open_gate.clear()
    acquiring = [asyncio.ensure_future(subscriptions.acquire("r")) for _ in range(3)]
    await until(lambda: broker.asked)
    for task in acquiring:
        task.cancel()
    await asyncio.wait(acquiring)
    assert subscriptions._rooms == {}
    assert broker.done == []
