"""What is meant for a user reaches all its connections, whatever rooms they are in, and on all nodes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import CloseCode, InvalidClose, InvalidRoomName, InvalidUserName, Rooms, RoomsClosed, Unpublishable
from roomcast.rooms.brokers.memory import MemoryBroker
from tests.rooms.guests import Guest, notices, settled, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roomcast import Position
    from tests.rooms.conftest import Enter


class Shared(MemoryBroker):
    """A broker of several nodes: each has an opening of its own, and subscriptions of its own."""

    def __init__(self, others: list[Shared]) -> None:
        super().__init__()
        others.append(self)
        self._others = others
        self._rooms = others[0]._rooms

    async def publish(self, room: str, payload: bytes, *, key: str | None = None, keep: bool = True) -> Position:
        position = await super().publish(room, payload, key=key, keep=keep)
        for other in self._others:
            if other is not self and room in other._subscribed:
                other._deliver(room, position if keep else None, payload)
        return position


@pytest.fixture
async def nodes(_no_task_is_left_behind: None) -> AsyncIterator[list[Rooms]]:
    brokers: list[Shared] = []
    nodes = [Rooms(Shared(brokers), linger=0) for _ in range(2)]
    for node in nodes:
        await node.__aenter__()
    yield nodes
    for node in nodes:
        await node.__aexit__(None, None, None)


# send_to


async def test_what_is_sent_to_a_user_reaches_each_of_its_connections_once(rooms: Rooms, enter: Enter) -> None:
    phone, desk = await enter("a", user="ada"), await enter("b", user="ada")
    bob, nobody = await enter("a", user="bob"), await enter("a")
    async with rooms.join("b", phone.ws, user="ada"), rooms.join("c", phone.ws, user="ada"):
        await rooms.send_to("ada", {"text": "é"})
        await rooms.send_to("ada", b"\x00")
        for guest in (phone, desk):
            assert await guest.hears(2) == ['{"text":"é"}', b"\x00"]
            assert await guest.client.receives_nothing()
    await rooms.send_to("ada", "later")
    for guest in (phone, desk):
        assert await guest.hears(1) == ["later"]
    for guest in (bob, nobody):
        assert await guest.client.receives_nothing()
    assert phone.member.stats.delivered == 3


async def test_a_user_may_have_several_names_on_one_connection(rooms: Rooms, enter: Enter) -> None:
    guest = await enter("a", user="ada")
    async with rooms.join("b", guest.ws, user="countess"):
        await rooms.send_to("ada", "one")
        await rooms.send_to("countess", "two")
        assert await guest.hears(2) == ["one", "two"]


async def test_a_user_who_is_not_there_gets_nothing_then_or_later(rooms: Rooms, enter: Enter) -> None:
    await rooms.send_to("ada", "not kept")
    await rooms.disconnect("ada")
    guest = await enter(user="ada")
    assert await guest.client.receives_nothing()
    assert await rooms.active() == {"r": 1}


async def test_it_goes_through_no_encoder(rooms: Rooms, enter: Enter) -> None:
    guest = await enter(user="ada", encoder=lambda _event: "encoded")
    await rooms.send_to("ada", "as it is")
    assert await guest.hears(1) == ["as it is"]


async def test_it_comes_after_what_was_missed(rooms: Rooms) -> None:
    since = await rooms.position("r")
    await rooms.publish("r", "missed")

    async def greet(_member: object) -> str:
        await rooms.send_to("ada", "meanwhile")
        return "welcome"

    guest = await Guest(rooms, "r", user="ada", since=since, greet=greet).enter()
    assert await guest.hears(3) == ["welcome", "missed", "meanwhile"]
    await guest.leave()


async def test_one_who_reads_nothing_is_closed_at_its_bound(rooms: Rooms, enter: Enter) -> None:
    guest = await enter(user="ada")
    guest.client.stall()
    said = 0
    while not guest.member.closed:
        await rooms.send_to("ada", "x" * 50_000)
        said += 1
    # The server was taking the first; what waited behind it was dropped with the connection.
    assert (guest.member.stats.delivered, guest.member.stats.dropped) == (1, said - 1)
    guest.client.resume()
    assert await guest.client.closed() == CloseCode.TOO_SLOW


@pytest.mark.parametrize("data", ["\ud800", {1}, float("nan")])
async def test_what_no_message_can_carry_is_unpublishable(rooms: Rooms, data: Any) -> None:
    with pytest.raises(Unpublishable):
        await rooms.send_to("ada", data)


@pytest.mark.parametrize("user", ["", "a\x00", "x" * 256, 5])
async def test_a_name_that_is_none_is_refused_wherever_a_user_is_named(rooms: Rooms, user: Any) -> None:
    for call in (rooms.send_to(user, "hi"), rooms.disconnect(user), rooms.enter("r", object(), user=user)):
        with pytest.raises(InvalidUserName, match="a user's name"):
            await call


# disconnect


async def test_disconnecting_a_user_closes_all_its_connections_and_nobody_elses(
    rooms: Rooms, enter: Enter
) -> None:
    listener = await enter("a", encoder=notices, user="bob")
    guests = [await enter(room, user="ada", info=room) for room in "aab"]
    assert await listener.hears(2) == ["+a", "+a"]
    await rooms.disconnect("ada", 4003, "banned")
    for guest in guests:
        assert await guest.client.closed() == 4003
        assert guest.client.close_reason == "banned"
        await guest.client.finished()
        assert guest.ws.close_code == 4003
    assert await listener.hears(2) == ["-a", "-a"]
    assert await rooms.active() == {"a": 1}


async def test_a_disconnected_user_is_told_so_and_may_come_back(rooms: Rooms, enter: Enter) -> None:
    guest = await enter(user="ada")
    await rooms.disconnect("ada")
    assert await guest.client.closed() == 4005
    again = await enter(user="ada")
    await rooms.send_to("ada", "hi")
    assert await again.hears(1) == ["hi"]


@pytest.mark.parametrize(("code", "reason"), [(1005, ""), (99, ""), (4000, "é" * 62)])
async def test_a_close_that_cannot_be_sent_is_refused_and_closes_nobody(
    rooms: Rooms, enter: Enter, code: int, reason: str
) -> None:
    guest = await enter(user="ada")
    for call in (rooms.disconnect("ada", code, reason), rooms.close("r", code=code, reason=reason)):
        with pytest.raises(InvalidClose):
            await call
    await settled()
    assert not guest.member.closed


# close


async def test_closing_a_room_closes_the_connections_of_all_who_are_in_it(rooms: Rooms, enter: Enter) -> None:
    inside = [await enter("r") for _ in range(2)]
    outside = await enter("other", encoder=notices)
    async with rooms.join("other", inside[0].ws, info="a"):
        position = await rooms.publish("r", "the last word", exclude=inside[1].member)
        assert await inside[0].hears(1) == ["the last word"]
        await rooms.close("r")
        assert [await guest.client.closed() for guest in inside] == [CloseCode.ROOM_CLOSED, 4006]
        assert inside[0].client.close_reason == "the room was closed"
        assert await outside.hears(2) == ["+a", "-a"]
    assert await rooms.active() == {"other": 1}
    assert await rooms.position("r") == position


async def test_a_closed_room_may_be_opened_again(rooms: Rooms, enter: Enter) -> None:
    await rooms.close("r")
    guest = await enter()
    await rooms.close("r", code=4100, reason="again")
    assert await guest.client.closed() == 4100
    again = await enter()
    await rooms.publish("r", "hi")
    assert await again.hears(1) == ["hi"]


async def test_one_whose_handshake_is_under_way_is_closed_too(rooms: Rooms) -> None:
    guest = Guest(rooms, "r", user="ada")
    await until(lambda: rooms._node.membership.of("r"))
    await rooms.close("r")
    await guest.client.open()
    assert (guest.client.accepted, guest.client.close_code) == (False, 4006)
    await guest.client.finished()


# remove


async def test_one_member_is_removed_and_nobody_else(rooms: Rooms, enter: Enter) -> None:
    one, other = await enter(), await enter()
    await rooms.remove("elsewhere", one.member.id)
    await rooms.remove("r", "nobody")
    await rooms.remove("r", "")
    await rooms.remove("r", "x" * 300)
    await settled()
    assert not one.member.closed
    await rooms.remove("r", one.member.id, code=4100, reason="out")
    assert (await one.client.closed(), one.client.close_reason) == (4100, "out")
    assert not other.member.closed
    with pytest.raises(InvalidClose):
        await rooms.remove("r", other.member.id, code=99)


async def test_a_member_is_removed_on_whichever_node_it_is(nodes: list[Rooms]) -> None:
    guests = [await Guest(node, "r").enter() for node in nodes]
    await nodes[0].remove("r", guests[1].member.id)
    assert await guests[1].client.closed() == 4005
    await guests[1].client.finished()
    assert not guests[0].member.closed
    await guests[0].leave()


# Nodes


async def test_users_are_reached_and_rooms_closed_on_all_nodes(nodes: list[Rooms]) -> None:
    here, there = nodes
    guests = [await Guest(node, "r", user="ada").enter() for node in nodes]
    await here.send_to("ada", "one")
    await there.send_to("ada", "two")
    for guest in guests:
        assert await guest.hears(2) == ["one", "two"]
    await there.disconnect("ada", 4005, "out")
    for guest in guests:
        assert await guest.client.closed() == 4005
        await guest.client.finished()
    guests = [await Guest(node, "r").enter() for node in nodes]
    await here.close("r")
    for guest in guests:
        assert await guest.client.closed() == 4006
        await guest.client.finished()


async def test_a_node_is_subscribed_to_a_user_while_it_has_connections_of_it(nodes: list[Rooms]) -> None:
    here, there = nodes
    subscribed: set[str] = here._broker._subscribed  # type: ignore[attr-defined]
    first = await Guest(here, "a", user="ada").enter()
    second = await Guest(here, "b", user="ada").enter()
    assert subscribed == {"a", "b", "\x01user:ada"}
    await first.leave()
    await until(lambda: subscribed == {"b", "\x01user:ada"})
    await second.leave()
    await until(lambda: not subscribed)
    assert not there._broker._subscribed  # type: ignore[attr-defined]
    assert not here._node.users._users


async def test_users_come_and_go_at_once_and_nobody_misses_or_repeats(rooms: Rooms) -> None:
    async def visit(number: int) -> list[str | bytes]:
        guest = await Guest(rooms, f"room {number % 3}", user=f"user {number % 5}").enter()
        await rooms.send_to(f"user {number % 5}", str(number))
        heard: list[str | bytes] = []
        while not heard or heard[-1] != str(number):
            heard += await guest.hears(1)
        await guest.leave()
        return heard

    for heard in await asyncio.gather(*(visit(number) for number in range(50))):
        assert len(set(heard)) == len(heard)
    assert not rooms._node.users._users


async def test_closed_rooms_reach_nobody(rooms: Rooms) -> None:
    await rooms.__aexit__(None, None, None)
    for call in (rooms.send_to("ada", "hi"), rooms.disconnect("ada"), rooms.close("r")):
        with pytest.raises(RoomsClosed):
            await call
    async with rooms:
        with pytest.raises(InvalidRoomName):
            await rooms.close("")
