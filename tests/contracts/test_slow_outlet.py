"""What every outlet does for a peer that does not read: it holds what fits, and then its policy decides."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roomcast import CloseCode, SlowPolicy
from roomcast.protocol.prepared import PreparedMessage
from tests.contracts.outlets.recipient import Counting, number_of
from tests.contracts.outlets.wire import BOUND
from tests.contracts.test_outlet import closes_of
from tests.rooms.guests import DEADLINE, until

if TYPE_CHECKING:
    from roomcast.rooms import Outlet
    from tests.contracts.outlets.wire import Wire

SIZE = 10_000
"""Of the messages here: some twenty fit."""
MOST = BOUND // SIZE


def fill(outlet: Outlet, size: int = SIZE) -> int:
    """Offer messages until one is not taken, and say how many were."""
    taken = 0
    while outlet.offer(PreparedMessage("x" * size)):
        taken += 1
        assert taken < 100_000, "there is no bound"
    return taken


async def test_what_waits_counts_and_comes_when_the_peer_reads(stalled: Wire) -> None:
    before = stalled.outlet.queued_bytes
    assert stalled.outlet.offer(PreparedMessage("é" * 1000))
    assert stalled.outlet.offer(PreparedMessage(b"abc" * 1000))
    assert 5000 <= stalled.outlet.queued_bytes - before <= 5000 + 2 * stalled.frame_bytes
    await stalled.settled()
    assert stalled.outlet.queued_bytes >= 5000
    stalled.resume()
    assert await stalled.messages(2) == ["é" * 1000, b"abc" * 1000]
    await stalled.empty()


async def test_what_waits_comes_in_order(stalled: Wire) -> None:
    for number in range(20):
        assert stalled.outlet.offer(PreparedMessage(str(number)))
        for _ in range(number % 3):
            await asyncio.sleep(0)
    stalled.resume()
    assert await stalled.messages(20) == [str(number) for number in range(20)]


async def test_without_a_recipient_what_does_not_fit_closes_the_outlet(stalled: Wire) -> None:
    before = stalled.outlet.queued_bytes
    closes = closes_of(stalled.outlet)
    taken = fill(stalled.outlet)
    assert BOUND * 0.9 - SIZE <= before + taken * SIZE <= BOUND
    ((code, reason),) = closes
    assert code == CloseCode.TOO_SLOW
    assert "come back and resume" in reason
    assert len(reason.encode()) <= 123
    assert stalled.outlet.closed
    assert stalled.outlet.queued_bytes <= stalled.keeps_on_close
    stalled.resume()
    assert await stalled.close_frame() == (code, reason), "nothing of what waited comes before it"
    await stalled.empty()
    assert len(closes) == 1


async def test_disconnect_closes_and_counts_all_that_waited(stalled: Wire) -> None:
    member = Counting(SlowPolicy.DISCONNECT)
    member.offer(stalled.outlet, MOST)
    assert stalled.outlet.closed
    assert member.taken == list(range(len(member.taken)))
    assert 0 < len(member.taken) < MOST
    assert member.drops == len(member.taken)
    stalled.resume()
    assert (await stalled.close_frame())[0] == CloseCode.TOO_SLOW
    assert member.drops == len(member.taken)


async def test_drop_newest_drops_what_comes_and_keeps_what_waits(stalled: Wire) -> None:
    member = Counting(SlowPolicy.DROP_NEWEST)
    member.offer(stalled.outlet, 2 * MOST)
    assert not stalled.outlet.closed
    assert stalled.outlet.queued_bytes <= BOUND + MOST * stalled.frame_bytes
    assert member.taken == list(range(len(member.taken)))
    assert 0 < len(member.taken) < MOST
    assert member.drops == 0, "what is not taken is counted by who offers it"
    stalled.resume()
    assert [number_of(message) for message in await stalled.messages(len(member.taken))] == member.taken


async def test_drop_oldest_drops_what_has_waited_longest(stalled: Wire) -> None:
    member = Counting(SlowPolicy.DROP_OLDEST)
    member.offer(stalled.outlet, 2 * MOST)
    assert not stalled.outlet.closed
    assert stalled.outlet.queued_bytes <= BOUND + MOST * stalled.frame_bytes
    assert member.taken == list(range(2 * MOST))
    assert MOST < member.drops < 2 * MOST
    stalled.resume()
    kept = member.taken[member.drops :]
    assert [number_of(message) for message in await stalled.messages(len(kept))] == kept


async def test_latest_keeps_the_newest_only(stalled: Wire) -> None:
    before = stalled.outlet.queued_bytes
    member = Counting(SlowPolicy.LATEST)
    member.offer(stalled.outlet, 2 * MOST)
    assert not stalled.outlet.closed
    assert stalled.outlet.queued_bytes <= before + SIZE + stalled.frame_bytes
    assert member.taken == list(range(2 * MOST))
    assert member.drops == 2 * MOST - 1
    stalled.resume()
    assert number_of(await stalled.message()) == 2 * MOST - 1


@pytest.mark.parametrize("policy", SlowPolicy)
async def test_a_peer_that_reads_again_gets_each_that_was_taken_and_not_dropped(
    stalled: Wire, policy: SlowPolicy
) -> None:
    member = Counting(policy)
    for _ in range(2 * MOST):
        member.offer(stalled.outlet)
        await asyncio.sleep(0)
    stalled.resume()
    if policy is SlowPolicy.DISCONNECT:
        await stalled.close_frame()
        assert member.drops == len(member.taken)
        return
    received = [number_of(message) for message in await stalled.messages(len(member.taken) - member.drops)]
    assert received == sorted(received)
    assert set(received) <= set(member.taken)
    await stalled.empty()
    member.offer(stalled.outlet)
    assert number_of(await stalled.message()) == 2 * MOST == member.taken[-1], "it goes on as before"


async def test_members_of_one_connection_each_have_their_policy(stalled: Wire) -> None:
    state, log, newest = (
        Counting(policy) for policy in (SlowPolicy.LATEST, SlowPolicy.DROP_OLDEST, SlowPolicy.DROP_NEWEST)
    )
    for _ in range(MOST):
        for member in (state, log, newest):
            member.offer(stalled.outlet)
    assert state.drops == MOST - 1
    assert log.drops > 0
    assert newest.drops == 0
    assert 0 < len(newest.taken) < MOST
    assert stalled.outlet.queued_bytes <= BOUND + SIZE + MOST * stalled.frame_bytes
    waiting = sum(len(member.taken) - member.drops for member in (state, log, newest))
    stalled.resume()
    received = [number_of(message) for message in await stalled.messages(waiting)]
    assert received == sorted(received), "across members, order is that of the offers"
    assert received.count(MOST - 1) >= 1
    await stalled.empty()


async def test_what_closes_the_outlet_drops_what_waits_for_all(stalled: Wire) -> None:
    members = [Counting(policy) for policy in SlowPolicy]
    for member in members:
        member.offer(stalled.outlet, 2)
    impatient = members[0]
    assert impatient.policy is SlowPolicy.DISCONNECT
    impatient.offer(stalled.outlet, MOST)
    assert stalled.outlet.closed
    assert all(member.drops == len(member.taken) for member in members)


@pytest.mark.parametrize("policy", SlowPolicy)
async def test_a_message_over_the_bound_beside_others(stalled: Wire, policy: SlowPolicy) -> None:
    member = Counting(policy)
    member.offer(stalled.outlet, 2)
    member.offer(stalled.outlet, size=3 * BOUND)
    match policy:
        case SlowPolicy.DISCONNECT:
            assert stalled.outlet.closed
            assert (member.taken, member.drops) == ([0, 1], 2)
        case SlowPolicy.LATEST:
            assert (member.taken, member.drops) == ([0, 1, 2], 2)
            stalled.resume()
            assert number_of(await stalled.message()) == 2
        case _:
            # Nothing is dropped for one that does not fit even so.
            assert (member.taken, member.drops) == ([0, 1], 0)
            stalled.resume()
            assert [number_of(message) for message in await stalled.messages(2)] == [0, 1]


@pytest.mark.parametrize("size", [0, 1])
async def test_small_and_empty_messages_are_bounded_too(stalled: Wire, size: int) -> None:
    assert fill(stalled.outlet, size) <= BOUND / 50, "each takes 50 bytes and more in memory"
    assert stalled.outlet.closed


async def test_a_stalled_peer_delays_no_other(stalled: Wire) -> None:
    others = [await stalled.another() for _ in range(3)]
    for number in range(2 * MOST):
        message = PreparedMessage(f"{number} ".ljust(SIZE))
        stalled.outlet.offer(message)
        for other in others:
            assert other.outlet.offer(message)
            assert number_of(await other.message()) == number
    assert stalled.outlet.closed
    assert not any(other.outlet.closed for other in others)


async def test_closing_drops_what_waits_and_tells_the_peer_when_it_reads_again(stalled: Wire) -> None:
    closes = closes_of(stalled.outlet)
    member = Counting(SlowPolicy.DROP_OLDEST)
    member.offer(stalled.outlet, 5)
    await stalled.settled()
    stalled.outlet.close(4001, "no token")
    assert closes == [(4001, "no token")]
    assert member.drops == 5
    assert not stalled.outlet.offer(PreparedMessage("late"))
    assert stalled.outlet.queued_bytes <= stalled.keeps_on_close
    await stalled.settled()
    stalled.resume()
    assert await stalled.close_frame() == (4001, "no token")
    await stalled.empty()
    assert closes == [(4001, "no token")]


async def test_the_callback_comes_before_the_offer_returns(stalled: Wire) -> None:
    order: list[str] = []
    stalled.outlet.on_close(lambda _code, _reason: order.append("closed"))
    while stalled.outlet.offer(PreparedMessage("x" * SIZE)):
        pass
    order.append("returned")
    assert order == ["closed", "returned"]


async def test_a_connection_that_is_lost_while_messages_wait_closes_the_outlet(stalled: Wire) -> None:
    closes = closes_of(stalled.outlet)
    member = Counting(SlowPolicy.DROP_OLDEST)
    member.offer(stalled.outlet, 5)
    await stalled.settled()
    await stalled.lose()
    if stalled.tells_of_loss:
        # Where the peer has gone while a message was under way, it may be the next one that the server refuses.
        stalled.outlet.offer(PreparedMessage("into the void"))
        await until(lambda: stalled.outlet.closed)
        assert closes == [(CloseCode.ABNORMAL, "")]
    else:
        await stalled.told_of_loss()
        assert closes == []
    assert stalled.outlet.closed
    assert stalled.outlet.queued_bytes == 0


async def test_drained_waits_for_the_peer(stalled: Wire) -> None:
    stalled.outlet.offer(PreparedMessage("x" * SIZE))
    draining = asyncio.ensure_future(stalled.outlet.drained())
    await stalled.settled()
    assert not draining.done()
    stalled.resume()
    await asyncio.wait_for(draining, DEADLINE)
    await stalled.message()
    await stalled.empty()


@pytest.mark.parametrize("how", ["close", "lose"])
async def test_drained_returns_where_the_outlet_closes(stalled: Wire, how: str) -> None:
    stalled.outlet.offer(PreparedMessage("x" * SIZE))
    draining = asyncio.ensure_future(stalled.outlet.drained())
    await stalled.settled()
    assert not draining.done()
    if how == "close":
        stalled.outlet.close(4000)
    else:
        await stalled.lose()
        if not stalled.tells_of_loss:
            await stalled.told_of_loss()
    await asyncio.wait_for(draining, DEADLINE)


async def test_giving_up_on_drained_changes_nothing(stalled: Wire) -> None:
    stalled.outlet.offer(PreparedMessage("x"))
    draining = asyncio.ensure_future(stalled.outlet.drained())
    await stalled.settled()
    draining.cancel()
    await asyncio.wait([draining])
    stalled.resume()
    assert await stalled.message() == "x"


async def test_a_server_that_holds_nothing_back_takes_all_and_closes_nobody(unstallable: Wire) -> None:
    """No outlet can know that a peer is slow where the server does not say so: the server keeps it all."""
    members = [Counting(policy) for policy in SlowPolicy]
    for _ in range(2 * MOST):
        for member in members:
            member.offer(unstallable.outlet)
        await unstallable.empty()
    assert [len(member.taken) for member in members] == [2 * MOST] * 4
    assert [member.drops for member in members] == [0] * 4
    await asyncio.wait_for(unstallable.outlet.drained(), DEADLINE)
    assert not unstallable.outlet.closed
    unstallable.resume()
    received = [number_of(message) for message in await unstallable.messages(8 * MOST)]
    assert received == sorted(received)


async def test_a_server_that_holds_nothing_back_may_cut_off_who_is_closed_while_it_does_not_read(
    unstallable: Wire,
) -> None:
    closes = closes_of(unstallable.outlet)
    unstallable.outlet.close(4001, "no token")
    assert closes == [(4001, "no token")]
    unstallable.resume()
    await unstallable.ended()
