"""What becomes of the messages of slow members is what their join, or else their rooms, say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import CloseCode, ConfigurationError, Position, Rooms, SlowPolicy
from tests.contracts.outlets.wire import BOUND
from tests.rooms.guests import until
from tests.rooms.readers import OurReader, PlainReader, Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roomcast import Member

SIZE = 10_000
MOST = BOUND // SIZE
DROPPING = [policy for policy in SlowPolicy if policy is not SlowPolicy.DISCONNECT]


@pytest.fixture(params=[PlainReader, OurReader], ids=["plain", "ours"])
async def reader(request: pytest.FixtureRequest, _no_task_is_left_behind: None) -> AsyncIterator[Reader]:
    reader: Reader = await request.param.open()
    yield reader
    await reader.end()


def rooms_with(**settings: Any) -> Rooms:
    return Rooms("memory://", outbox_bytes=BOUND, **settings)


async def publish(rooms: Rooms, count: int, room: str = "r", *, first: int = 0) -> Position:
    """Publish messages that are numbered through, and give the position of the last."""
    position = Position(0, "")
    for number in range(first, first + count):
        position = await rooms.publish(room, f"{room} {number} ".ljust(SIZE))
    return position


async def read(reader: Reader, count: int) -> list[str]:
    """Give the rooms and numbers of the next messages."""
    return [str(message).strip() for message in await reader.messages(count)]


def numbered(numbers: range, room: str = "r") -> list[str]:
    return [f"{room} {number}" for number in numbers]


def of(member: Member) -> tuple[int, int]:
    """Give how many messages were delivered and dropped."""
    return member.stats.delivered, member.stats.dropped


async def join_of(reader: Reader, rooms_say: dict[str, Any], join_says: dict[str, Any]) -> SlowPolicy:
    """Join, and give the policy of that."""
    async with rooms_with(**rooms_say) as rooms:
        member = await reader.join(rooms, **join_says)
        await member.leave()
    return member.policy


@pytest.mark.parametrize("where", ["rooms", "join"])
async def test_a_policy_that_is_none_is_an_error_that_names_all(reader: Reader, where: str) -> None:
    told = {"slow": "backoff"}
    with pytest.raises(ConfigurationError, match=r"no policy 'backoff' .*: there are disconnect, drop_oldest"):
        await (join_of(reader, told, {}) if where == "rooms" else join_of(reader, {}, told))


@pytest.mark.parametrize(
    ("rooms_say", "join_says", "expected"),
    [
        ({}, {}, SlowPolicy.DISCONNECT),
        ({"slow": "latest"}, {}, SlowPolicy.LATEST),
        ({"slow": SlowPolicy.LATEST}, {"slow": "drop_oldest"}, SlowPolicy.DROP_OLDEST),
        ({}, {"slow": SlowPolicy.DROP_NEWEST}, SlowPolicy.DROP_NEWEST),
    ],
)
async def test_the_join_says_it_or_else_the_rooms(
    reader: Reader, rooms_say: dict[str, Any], join_says: dict[str, Any], expected: SlowPolicy
) -> None:
    assert await join_of(reader, rooms_say, join_says) is expected


async def test_by_default_a_slow_member_is_closed_and_all_that_it_did_not_get_is_counted(reader: Reader) -> None:
    async with rooms_with() as rooms:
        member = await reader.join(rooms)
        await publish(rooms, 3)
        assert await read(reader, 3) == numbered(range(3))
        await reader.stall()
        await publish(rooms, 2 * MOST, first=3)
        assert member.closed
        assert await rooms.count("r") == 0
        assert of(member)[0] == 3
        assert 0 < of(member)[1] <= 2 * MOST
        assert of(member)[1] > MOST / 2, "what waited, and the one that was too much"
        reader.resume()
        assert (await reader.close_frame())[0] == CloseCode.TOO_SLOW


@pytest.mark.parametrize("policy", DROPPING)
async def test_what_a_slow_member_gets_and_what_is_dropped_add_up(reader: Reader, policy: SlowPolicy) -> None:
    async with rooms_with() as rooms:
        member = await reader.join(rooms, slow=policy)
        await reader.stall()
        await publish(rooms, 2 * MOST)
        assert not member.closed
        delivered, dropped = of(member)
        assert delivered + dropped == 2 * MOST
        assert dropped >= MOST
        assert SIZE <= member.stats.queued_bytes <= BOUND + SIZE
        reader.resume()
        await reader.empty()
        await publish(rooms, 1, first=2 * MOST)
        received = await read(reader, delivered + 1)
        kept = {
            SlowPolicy.DROP_NEWEST: range(delivered),
            SlowPolicy.DROP_OLDEST: range(2 * MOST - delivered, 2 * MOST),
            SlowPolicy.LATEST: range(2 * MOST - 1, 2 * MOST),
        }
        assert received == [*numbered(kept[policy]), *numbered(range(2 * MOST, 2 * MOST + 1))]
        assert of(member) == (delivered + 1, dropped)
        await until(lambda: member.stats.queued_bytes == 0)
        await member.leave()


async def test_rooms_of_several_policies_on_one_connection(reader: Reader) -> None:
    async with rooms_with() as rooms:
        state = await reader.join(rooms, "state", slow="latest")
        log = await reader.join(rooms, "log", slow="drop_newest")
        await reader.stall()
        for number in range(2 * MOST):
            await publish(rooms, 1, "state", first=number)
            await publish(rooms, 1, "log", first=number)
        assert of(state) == (1, 2 * MOST - 1)
        delivered, dropped = of(log)
        assert delivered + dropped == 2 * MOST
        assert 0 < delivered < MOST
        assert state.stats.queued_bytes == log.stats.queued_bytes <= BOUND + SIZE, "those of the connection"
        reader.resume()
        received = await read(reader, delivered + 1)
        assert received == [*numbered(range(delivered), "log"), f"state {2 * MOST - 1}"]
        for member in (state, log):
            await member.leave()


async def test_a_room_of_states_closes_nobody_but_the_chat_beside_it_does(reader: Reader) -> None:
    async with rooms_with() as rooms:
        state = await reader.join(rooms, "state", slow="latest")
        chat = await reader.join(rooms, "chat")
        await reader.stall()
        await publish(rooms, 3 * MOST, "state")
        assert not state.closed
        await publish(rooms, 2 * MOST, "chat")
        assert chat.closed
        assert state.closed, "it is one connection"
        assert await rooms.active() == {}
        assert of(state) == (0, 3 * MOST)
        assert of(chat)[0] == 0
        reader.resume()
        assert (await reader.close_frame())[0] == CloseCode.TOO_SLOW


@pytest.mark.parametrize("policy", SlowPolicy)
async def test_one_who_comes_back_and_reads_gets_all_that_it_missed_whatever_its_policy(
    reader: Reader, policy: SlowPolicy
) -> None:
    async with rooms_with() as rooms:
        since = await rooms.publish("r", "the last that it knows")
        await publish(rooms, 3 * MOST)
        joining = asyncio.ensure_future(reader.join(rooms, since=since, slow=policy))
        assert await read(reader, 3 * MOST) == numbered(range(3 * MOST))
        member = await joining
        assert member.recovered
        assert of(member) == (3 * MOST, 0)
        await member.leave()


@pytest.mark.parametrize("policy", DROPPING)
async def test_what_comes_while_one_catches_up_is_dropped_as_its_policy_says(
    reader: Reader, policy: SlowPolicy
) -> None:
    async with rooms_with() as rooms:
        since = await rooms.publish("r", "the last that it knows")
        await publish(rooms, 5)
        await reader.join(rooms, "other")
        await reader.stall()
        joining = asyncio.ensure_future(reader.join(rooms, since=since, slow=policy))
        await until(lambda: rooms._node.membership.of("r"))
        (member,) = rooms._node.membership.of("r")
        await publish(rooms, 2 * MOST, first=5)
        assert not member.closed
        delivered, dropped = of(member)
        reader.resume()
        await joining
        missed = 5 if member.recovered else 0
        assert missed == 5
        received = await read(reader, sum(of(member)) - of(member)[1])
        assert received[:5] == numbered(range(5)), "what it missed comes first, and all of it"
        assert received == sorted(received, key=lambda text: int(text.split()[1]))
        assert of(member)[1] == dropped >= MOST
        assert len(received) == 5 + 2 * MOST - dropped
        if policy is SlowPolicy.DROP_NEWEST:
            assert received == numbered(range(5 + delivered))
        else:
            assert received[-1] == f"r {2 * MOST + 4}"
        for one in (member, *rooms._node.membership.of("other")):
            await one.leave()


async def test_one_who_must_miss_nothing_and_does_not_catch_up_in_time_is_closed(reader: Reader) -> None:
    async with rooms_with() as rooms:
        since = await rooms.publish("r", "the last that it knows")
        await publish(rooms, 5)
        await reader.join(rooms, "other", slow="latest")
        await reader.stall()
        joining = asyncio.ensure_future(reader.join(rooms, since=since))
        await until(lambda: rooms._node.membership.of("r"))
        (member,) = rooms._node.membership.of("r")
        await publish(rooms, 2 * MOST, first=5)
        assert member.closed
        assert of(member)[0] == 0
        assert of(member)[1] > MOST / 2
        reader.resume()
        code, reason = await reader.close_frame()
        assert code == CloseCode.TOO_SLOW
        assert reason == f"too slow: {BOUND} bytes came before it had caught up; come back and resume"
        await asyncio.wait([joining])
        assert joining.exception() is not None


async def test_what_is_sent_to_a_member_alone_counts_like_what_is_said_in_its_room(reader: Reader) -> None:
    async with rooms_with() as rooms:
        member = await reader.join(rooms, slow="drop_newest")
        await reader.stall()
        taken = sum(member.send("x" * SIZE) for _ in range(2 * MOST))
        assert of(member) == (taken, 2 * MOST - taken)
        assert 0 < taken < MOST
        reader.resume()
        assert len(await reader.messages(taken)) == taken
        await member.leave()
