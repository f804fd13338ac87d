"""What a node does about publications that its connection to the broker loses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import BrokerUnavailable, CloseCode, Position, Retention, Rooms
from roomcast.rooms import continuity
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.rooms.names import NODES
from tests.rooms.guests import Guest, notices, settled, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from roomcast import Member
    from roomcast.rooms.brokers.base import Deliver
    from roomcast.rooms.brokers.history import History


class Remote(MemoryBroker):
    """A broker in memory that behaves as if it were far away.

    Attributes:
        is_deaf: whether what is published does not come here.
        is_cut: whether the history cannot be reached.
        covers_empty: whether all is known that came since a room was empty, whatever its epoch was then.
        asked: how often the history was.
        answers: set while its answers come at once.
    """

    many_processes = True

    def __init__(self) -> None:
        super().__init__()
        self.is_deaf = False
        self.is_cut = False
        self.covers_empty = False
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.returned: Callable[[], None]
        self.vanished: Callable[[str, bytes], None]
        self.deliver: Deliver

    async def open(self, deliver: Deliver, *args: Any, **told: Any) -> None:
        self.returned, self.vanished, self.deliver = told["returned"], told["vanished"], deliver

        def carry(room: str, position: Position | None, payload: bytes) -> None:
            if not self.is_deaf:
                deliver(room, position, payload)

        await super().open(carry, *args)

    async def history(self, room: str, **asked: Any) -> History:
        if "since" in asked:
            self.asked += 1
        if self.is_cut:
            raise BrokerUnavailable("cut")
        await asyncio.sleep(0)
        if self.covers_empty and (since := asked.get("since")) is not None and not since.offset:
            asked["since"] = None
        answer = await super().history(room, **asked)
        await self.answers.wait()
        return answer

    def forget(self, room: str) -> None:
        """Lose a room's history."""
        del self._rooms[room]


@pytest.fixture
def broker() -> Remote:
    return Remote()


@pytest.fixture
async def rooms(broker: Remote) -> AsyncIterator[Rooms]:
    async with Rooms(broker, retention=Retention(size=50, bytes=1 << 20, age=60)) as rooms:
        yield rooms


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuity, "RETRY", (0.001, 0.01))


async def missed(broker: Remote, rooms: Rooms, *texts: str, room: str = "r") -> None:
    broker.is_deaf = True
    for text in texts:
        await rooms.publish(room, text)
    broker.is_deaf = False


async def test_what_a_node_missed_comes_first_once_the_next_shows_the_gap(broker: Remote, rooms: Rooms) -> None:
    guest = await Guest(rooms, "r").enter()
    await rooms.publish("r", "1")
    await missed(broker, rooms, "2", "3")
    for text in ("4", "5", "6"):
        await rooms.publish("r", text)
    assert await guest.hears(6) == ["1", "2", "3", "4", "5", "6"]
    assert rooms._continuity.filled >= 2
    await guest.leave()


async def test_what_comes_first_to_a_room_that_was_empty_comes_also_where_it_begins_another_numbering(
    broker: Remote, rooms: Rooms
) -> None:
    guest = await Guest(rooms, "r").enter()
    broker.forget("r")
    broker.covers_empty = True
    await rooms.publish("r", "1")
    await rooms.publish("r", "2")
    assert await guest.hears(2) == ["1", "2"]
    assert guest.client.close_code is None
    await guest.leave()


async def test_what_was_missed_before_anything_came_is_delivered_when_the_connection_is_back(
    broker: Remote, rooms: Rooms
) -> None:
    await rooms.publish("r", "before anybody was here")
    guest, other = await Guest(rooms, "r").enter(), await Guest(rooms, "quiet").enter()
    await missed(broker, rooms, "1", "2")
    await settled()
    assert await guest.client.receives_nothing()
    broker.returned()
    assert await guest.hears(2) == ["1", "2"]
    await rooms.publish("r", "3")
    assert await guest.hears(1) == ["3"]
    assert await other.client.receives_nothing()
    for member in (guest, other):
        await member.leave()


async def test_what_comes_twice_is_delivered_once(broker: Remote, rooms: Rooms) -> None:
    guest = await Guest(rooms, "r").enter()
    await rooms.publish("r", "1")
    await rooms.publish("r", "2")
    for position, payload in (await broker.history("r")).kept:
        broker.deliver("r", position, payload)
    await rooms.publish("r", "3")
    assert await guest.hears(3) == ["1", "2", "3"]
    assert await guest.client.receives_nothing()
    await guest.leave()


async def test_who_resumes_gets_once_what_is_still_on_its_way_to_its_node(broker: Remote, rooms: Rooms) -> None:
    guest = await Guest(rooms, "r").enter()
    since = await rooms.publish("r", "1")
    await missed(broker, rooms, "2", "3")
    on_their_way = (await broker.history("r", since=since)).kept
    back = await Guest(rooms, "r", since=since).enter()
    for position, payload in on_their_way:
        broker.deliver("r", position, payload)
    await rooms.publish("r", "4")
    assert await back.hears(3) == ["2", "3", "4"]
    assert await guest.hears(4) == ["1", "2", "3", "4"]
    for member in (guest, back):
        assert await member.client.receives_nothing()
        await member.leave()


async def test_who_resumes_is_refused_while_its_node_cannot_get_what_it_missed(
    broker: Remote, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuity, "REACH_TIMEOUT", 0.01)
    guest = await Guest(rooms, "r").enter()
    since = await rooms.publish("r", "1")
    await missed(broker, rooms, "2")
    back = Guest(rooms, "r", since=since, greet=cut_off(broker))
    await back.client.open()
    with pytest.raises(BrokerUnavailable, match="newest publications of room 'r'"):
        await back.client.finished()
    broker.is_cut = False
    assert await guest.hears(2) == ["1", "2"]
    await guest.leave()


def cut_off(broker: Remote) -> Callable[[Member], Awaitable[str]]:
    """Greet, and have the broker's history unreachable from then on."""

    async def greet(_member: Member) -> str:
        broker.is_cut = True
        return "welcome"

    return greet


async def test_who_resumes_is_refused_while_the_history_cannot_be_reached(broker: Remote, rooms: Rooms) -> None:
    since = await rooms.publish("r", "1")
    guest = await Guest(rooms, "r").enter()
    broker.is_cut = True
    back = Guest(rooms, "r", since=since)
    await back.client.open()
    with pytest.raises(BrokerUnavailable, match="cut"):
        await back.client.finished()
    await guest.leave()


async def test_what_is_missed_while_a_gap_is_filled_is_asked_for_too(broker: Remote, rooms: Rooms) -> None:
    guest = await Guest(rooms, "r").enter()
    broker.answers.clear()
    await missed(broker, rooms, "1")
    broker.returned()
    await until(lambda: broker.asked)
    await settled()  # it is answered, and the answer is under way
    await missed(broker, rooms, "2")
    broker.returned()
    broker.answers.set()
    assert await guest.hears(2) == ["1", "2"]
    await guest.leave()


async def test_the_history_is_asked_again_until_it_can_be_reached(broker: Remote, rooms: Rooms) -> None:
    guest = await Guest(rooms, "r").enter()
    broker.is_cut = True
    await missed(broker, rooms, "1")
    await rooms.publish("r", "2")
    await until(lambda: broker.asked > 2)
    assert await guest.client.receives_nothing()
    broker.is_cut = False
    assert await guest.hears(2) == ["1", "2"]
    await guest.leave()


async def test_members_are_told_to_resume_where_the_history_no_longer_reaches_back(
    broker: Remote, rooms: Rooms
) -> None:
    guest, other = await Guest(rooms, "r").enter(), await Guest(rooms, "other").enter()
    await missed(broker, rooms, *map(str, range(60)))
    await rooms.publish("r", "60")
    assert await guest.client.closed() == CloseCode.MISSED
    assert CloseCode.MISSED.advice == "resume"
    assert rooms._continuity.gaps == 1
    await guest.left.wait()
    back = await Guest(rooms, "r").enter()
    await rooms.publish("r", "61")
    assert await back.hears(1) == ["61"], "who comes afterwards goes on from there"
    await rooms.publish("other", "untouched")
    assert await other.hears(1) == ["untouched"]
    for member in (back, other):
        await member.leave()


async def test_members_are_told_to_resume_where_the_history_was_lost(broker: Remote, rooms: Rooms) -> None:
    guest = await Guest(rooms, "r").enter()
    await rooms.publish("r", "1")
    broker.forget("r")
    broker.returned()
    assert await guest.client.closed() == CloseCode.MISSED


async def test_more_than_can_be_kept_back_is_read_from_the_history(
    broker: Remote, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuity, "MOST_KEPT_BACK", 40)
    guest = await Guest(rooms, "r").enter()
    broker.is_cut = True
    await missed(broker, rooms, "0")
    for number in range(1, 20):
        await rooms.publish("r", str(number))
    broker.is_cut = False
    assert await guest.hears(20) == [str(number) for number in range(20)]
    assert await guest.client.receives_nothing()
    await guest.leave()


async def test_what_is_not_kept_needs_no_offset(broker: Remote, rooms: Rooms) -> None:
    guest = await Guest(rooms, "r").enter()
    await rooms.publish("r", "1")
    await rooms.publish("r", "passing", keep=False)
    await rooms.publish("r", "2")
    assert await guest.hears(3) == ["1", "passing", "2"]
    assert broker.asked == 0
    await guest.leave()


async def test_a_room_that_nobody_needs_any_more_is_not_asked_for(broker: Remote) -> None:
    async with Rooms(broker, linger=0.001) as rooms:
        guest = await Guest(rooms, "r").enter()
        broker.is_cut = True
        await missed(broker, rooms, "1")
        await rooms.publish("r", "2")
        await guest.leave()
        await until(lambda: not rooms._continuity._rooms)
        await until(lambda: not rooms._continuity._fillers)


async def test_many_rooms_are_looked_through_when_the_connection_is_back(broker: Remote, rooms: Rooms) -> None:
    names = [f"room {number}" for number in range(3 * continuity.FILLERS)]
    guests = [await Guest(rooms, name).enter() for name in names]
    for name in names:
        await missed(broker, rooms, name, room=name)
    broker.returned()
    await until(lambda: len(rooms._continuity._fillers) <= continuity.FILLERS)
    for guest, name in zip(guests, names, strict=True):
        assert await guest.hears(1) == [name]
        await guest.leave()


async def test_all_are_told_of_the_leave_of_a_member_whose_node_is_gone(broker: Remote, rooms: Rooms) -> None:
    guest = await Guest(rooms, "r", encoder=notices).enter()
    lost = await Guest(rooms, "r", info="Ada").enter()
    assert await guest.hears(1) == ["+Ada"]
    broker.vanished("r", lost.member.presence.to_bytes())
    assert await guest.hears(1) == ["-Ada"]
    broker.vanished(NODES, b"{}")
    await settled()
    assert await guest.client.receives_nothing()
    for member in (guest, lost):
        await member.leave()
