from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import Disconnected, InvalidClose, UnsupportedData
from roomcast.rooms import MemberStats
from tests.rooms.guests import settled, until

if TYPE_CHECKING:
    from roomcast import Rooms
    from tests.rooms.conftest import Enter


async def test_a_member_knows_who_it_is(enter: Enter) -> None:
    guest = await enter("lobby", user="ada", info={"name": "Ada"})
    member = guest.member
    assert (member.room, member.user, member.info) == ("lobby", "ada", {"name": "Ada"})
    assert member.id == member.presence.id
    assert repr(member) == f"<Member {member.id} of 'lobby'>"
    assert not member.closed
    member.close()
    assert member.closed
    assert repr(member) == f"<Member {member.id} of 'lobby' closed>"


async def test_what_is_sent_to_a_member_reaches_it_alone_and_in_order_with_the_room(
    rooms: Rooms, enter: Enter
) -> None:
    guest, other = await enter(), await enter()
    assert guest.member.send("one")
    await rooms.publish("r", "two")
    assert guest.member.send(b"\x00")
    assert guest.member.send_json({"a": "é"})
    assert await guest.hears(4) == ["one", "two", b"\x00", '{"a":"é"}']
    assert await other.hears(1) == ["two"]
    assert await other.client.receives_nothing()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, r"send\(\) takes str or bytes, not NoneType; send_json\(\) takes"),
        (5, "not int"),
        ({"a": 1}, "not dict"),
        (bytearray(b"x"), "not bytearray"),
        ("\ud800", "UTF-8"),
    ],
)
async def test_what_no_message_can_carry_is_not_sent(enter: Enter, data: Any, told: str) -> None:
    guest = await enter()
    with pytest.raises(UnsupportedData, match=told):
        guest.member.send(data)
    assert not guest.member.closed
    assert guest.member.stats == MemberStats(0, 0, 0)


@pytest.mark.parametrize("value", [{1}, float("nan"), object()])
async def test_what_json_cannot_carry_is_not_sent(enter: Enter, value: Any) -> None:
    guest = await enter()
    with pytest.raises(UnsupportedData, match=r"send_json\(\) cannot write this as JSON: "):
        guest.member.send_json(value)


@pytest.mark.usefixtures("impatient")
async def test_stats_count_what_was_handed_over_and_what_was_not(rooms: Rooms, enter: Enter) -> None:
    guest = await enter()
    await rooms.publish("r", "hello")
    await guest.hears(1)
    await until(lambda: guest.member.stats == MemberStats(0, 1, 0))
    guest.client.stall()
    guest.member.send("wait")
    await rooms.publish("r", "more")
    assert guest.member.stats == MemberStats(8, 3, 0)
    guest.member.close()
    assert not guest.member.send("late")
    assert guest.member.stats == MemberStats(0, 1, 3), "what waited was dropped with the close"


@pytest.mark.usefixtures("impatient")
async def test_stats_of_several_rooms_share_the_bytes_of_the_connection(rooms: Rooms, enter: Enter) -> None:
    guest = await enter("a")
    async with rooms.join("b", guest.ws) as other:
        guest.client.stall()
        await rooms.publish("a", "12345")
        await rooms.publish("b", "123")
        assert guest.member.stats == MemberStats(8, 1, 0)
        assert other.stats == MemberStats(8, 1, 0)
        guest.member.close()


async def test_closing_a_member_drops_what_waits(enter: Enter) -> None:
    guest = await enter()
    guest.member.send("unread")
    guest.member.close(4003, "banned")
    with pytest.raises(ConnectionError, match="4003 banned"):
        await guest.client.receive()


async def test_a_member_is_closed_with_a_normal_closure_unless_told_otherwise(enter: Enter) -> None:
    guest = await enter()
    guest.member.close()
    assert await guest.client.closed() == 1000


@pytest.mark.parametrize(
    ("code", "reason"), [(1005, ""), (999, ""), ("4000", ""), (4000, "x" * 124), (4000, None), (4000, "\ud800")]
)
async def test_a_close_that_may_not_be_sent_is_refused_and_the_member_stays(
    rooms: Rooms, enter: Enter, code: Any, reason: Any
) -> None:
    guest = await enter()
    with pytest.raises(InvalidClose):
        guest.member.close(code, reason)
    await rooms.publish("r", "still here")
    assert await guest.hears(1) == ["still here"]


async def test_a_member_hears_what_its_client_says(enter: Enter) -> None:
    guest = await enter()
    await guest.client.send("é")
    await guest.client.send(b"\x00")
    await until(lambda: len(guest.heard) == 2)
    assert guest.heard == ["é", b"\x00"]


async def test_receiving_from_a_member_that_is_over_is_disconnected(enter: Enter) -> None:
    guest = await enter()
    guest.may_leave.clear()
    guest.member.close(4003, "banned")
    await guest.ended.wait()
    with pytest.raises(Disconnected, match=r"4003 \(banned\)"):
        await guest.member.receive()
    assert [message async for message in guest.member] == []
    guest.may_leave.set()


async def test_a_member_of_any_of_its_rooms_receives_the_messages_of_the_connection(
    rooms: Rooms, enter: Enter
) -> None:
    guest = await enter("a")
    async with rooms.join("b", guest.ws) as other:
        await guest.client.send("one")
        await settled()
        assert guest.heard == ["one"]
        receiving = asyncio.ensure_future(other.receive())
        await settled()
        other.close(4000)
        with pytest.raises(Disconnected):
            await receiving
        await guest.ended.wait()
