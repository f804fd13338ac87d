"""What every outlet does, whatever lies between it and the peer: our server, or a server of others.

What holds of one server and not of another, its `Wire` says. Slow peers are in test_slow_outlet.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roomcast import CloseCode
from roomcast.protocol.prepared import PreparedMessage
from tests.contracts.outlets.wire import BOUND
from tests.rooms.guests import DEADLINE, until

if TYPE_CHECKING:
    from roomcast.rooms import Outlet
    from tests.contracts.outlets.wire import Wire


def closes_of(outlet: Outlet) -> list[tuple[int, str]]:
    """Collect what the outlet calls back with."""
    closes: list[tuple[int, str]] = []
    outlet.on_close(lambda code, reason: closes.append((code, reason)))
    return closes


async def test_text_and_binary_messages_reach_the_peer_as_what_they_are(wire: Wire) -> None:
    messages: list[str | bytes] = ["é", b"\x00\xff", "", b"", "end"]
    for data in messages:
        assert wire.outlet.offer(PreparedMessage(data))
    expected = messages if wire.sends_empty_messages else [data for data in messages if data]
    assert await wire.messages(len(expected)) == expected


async def test_messages_go_out_in_the_order_of_the_offers(wire: Wire) -> None:
    for number in range(20):
        assert wire.outlet.offer(PreparedMessage(str(number)))
    assert await wire.messages(20) == [str(number) for number in range(20)]


async def test_offers_between_writes_stay_in_order(wire: Wire) -> None:
    for number in range(50):
        wire.outlet.offer(PreparedMessage(str(number)))
        for _ in range(number % 4):
            await asyncio.sleep(0)
    assert await wire.messages(50) == [str(number) for number in range(50)]


async def test_text_and_binary_messages_stay_in_order(wire: Wire) -> None:
    messages: list[str | bytes] = ["x" * number if number % 2 else b"x" * number for number in range(1, 21)]
    for data in messages:
        wire.outlet.offer(PreparedMessage(data))
    assert await wire.messages(20) == messages


async def test_a_new_outlet_is_open_and_empty(wire: Wire) -> None:
    assert not wire.outlet.closed
    assert wire.outlet.queued_bytes == 0


async def test_once_the_peer_has_all_nothing_is_queued(wire: Wire) -> None:
    for _ in range(20):
        assert wire.outlet.offer(PreparedMessage("x" * 10_000))
    await wire.messages(20)
    await wire.empty()


async def test_a_message_over_the_bound_is_taken_while_nothing_waits(wire: Wire) -> None:
    for _ in range(2):
        assert wire.outlet.offer(PreparedMessage("x" * (3 * BOUND)))
        assert len(await wire.message()) == 3 * BOUND
        await wire.empty()


async def test_a_closed_outlet_takes_nothing(wire: Wire) -> None:
    wire.outlet.close(4000)
    assert wire.outlet.closed
    assert not wire.outlet.offer(PreparedMessage("late"))
    assert await wire.close_frame() == (4000, "")
    assert not wire.outlet.offer(PreparedMessage("late"))
    await wire.empty()


async def test_closing_tells_the_peer_code_and_reason(wire: Wire) -> None:
    wire.outlet.close(4001, "no token")
    assert await wire.close_frame() == (4001, "no token" if wire.sends_reasons else "")


async def test_the_first_close_counts(wire: Wire) -> None:
    closes = closes_of(wire.outlet)
    wire.outlet.close(4001, "first")
    wire.outlet.close(4002, "second")
    assert closes == [(4001, "first")]
    assert (await wire.close_frame())[0] == 4001
    await wire.settled()
    assert closes == [(4001, "first")]


async def test_every_callback_learns_of_the_close_once(wire: Wire) -> None:
    first, second = closes_of(wire.outlet), closes_of(wire.outlet)
    wire.outlet.close(4001, "no token")
    assert first == second == [(4001, "no token")]
    await wire.close_frame()
    await wire.settled()
    assert first == second == [(4001, "no token")]


async def test_a_callback_may_close_and_offer_again(wire: Wire) -> None:
    taken: list[bool] = []

    def again(_code: int, _reason: str) -> None:
        wire.outlet.close(4002)
        taken.append(wire.outlet.offer(PreparedMessage("again")))

    wire.outlet.on_close(again)
    wire.outlet.close(4001)
    assert taken == [False]
    assert (await wire.close_frame())[0] == 4001


async def test_a_lost_connection_closes_the_outlet_as_abnormal(wire: Wire) -> None:
    closes = closes_of(wire.outlet)
    await wire.lose()
    wire.outlet.offer(PreparedMessage("into the void"))
    if wire.tells_of_loss:
        await until(lambda: wire.outlet.closed)
        assert closes == [(CloseCode.ABNORMAL, "")]
    else:
        await wire.told_of_loss()
        assert closes == [], "who told it knows"
    assert wire.outlet.closed
    assert wire.outlet.queued_bytes == 0
    assert not wire.outlet.offer(PreparedMessage("late"))
    before = list(closes)
    wire.outlet.close(4000)
    await wire.settled()
    assert closes == before


async def test_drained_returns_at_once_where_nothing_waits(wire: Wire) -> None:
    await asyncio.wait_for(wire.outlet.drained(), DEADLINE)


async def test_drained_returns_once_the_peer_has_all(wire: Wire) -> None:
    for _ in range(20):
        wire.outlet.offer(PreparedMessage("x" * 10_000))
    await asyncio.wait_for(wire.outlet.drained(), DEADLINE)
    await wire.messages(20)
    await wire.empty()


async def test_drained_returns_where_the_outlet_is_closed(wire: Wire) -> None:
    wire.outlet.close(4001)
    await asyncio.wait_for(wire.outlet.drained(), DEADLINE)


async def test_after_finish_nobody_is_called_and_what_was_taken_is_written(wire: Wire) -> None:
    closes = closes_of(wire.outlet)
    for number in range(5):
        wire.outlet.offer(PreparedMessage(str(number)))
    await asyncio.wait_for(wire.outlet.finish(), DEADLINE)
    assert await wire.messages(5) == ["0", "1", "2", "3", "4"]
    wire.outlet.close(4001)
    await wire.lose()
    await wire.settled()
    assert closes == []


async def test_finish_waits_for_a_close_frame(wire: Wire) -> None:
    wire.outlet.close(4001)
    await asyncio.wait_for(wire.outlet.finish(), DEADLINE)
    assert (await wire.close_frame())[0] == 4001


async def test_one_prepared_message_may_go_to_the_same_peer_many_times(wire: Wire) -> None:
    prepared = PreparedMessage("again")
    for _ in range(3):
        wire.outlet.offer(prepared)
        assert await wire.message() == "again"
    assert prepared.data == "again"


async def test_one_prepared_message_may_go_to_many_peers(wire: Wire) -> None:
    prepared = PreparedMessage("for all")
    wires = [wire, *[await wire.another() for _ in range(3)]]
    for one in wires:
        assert one.outlet.offer(prepared)
    assert [await one.message() for one in wires] == ["for all"] * 4


@pytest.mark.parametrize("bound", [1, 20_000])
async def test_the_bound_may_be_changed(wire: Wire, bound: int) -> None:
    wire.outlet.bound = bound
    assert wire.outlet.bound == bound
