"""Being in a room without a block: `enter` and `leave`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roomcast import AlreadyJoined, Disconnected, LimitReached, Rooms, RoomsClosed, WebSocket
from roomcast.testing import connect
from tests.rooms.guests import notices, settled, until

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from roomcast import Member
    from roomcast.testing import TestConnection
    from tests.rooms.conftest import Enter


class Consumer:
    """Enters a room, and does nothing more until it is told to return."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._may_return = asyncio.Event()
        self.ws: WebSocket
        self.member: Member | None = None
        self.client: TestConnection = connect(self._app)

    async def enter(self, room: str = "r") -> Member:
        await self.client.open()
        await until(lambda: self.member)
        assert self.member is not None
        assert self.member.room == room
        return self.member

    async def finish(self) -> None:
        self._may_return.set()
        await self.client.finished()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.ws = WebSocket(scope, receive, send)
        self.member = await self._rooms.enter("r", self.ws, info="a")
        await self._may_return.wait()


async def test_one_who_has_entered_is_a_member_until_it_leaves(rooms: Rooms, enter: Enter) -> None:
    listener = await enter(encoder=notices)
    consumer = Consumer(rooms)
    member = await consumer.enter()
    await rooms.publish("r", "hi")
    assert await consumer.client.receive() == "hi"
    assert await rooms.count("r") == 2
    await member.leave()
    assert await rooms.count("r") == 1
    assert await listener.hears(3) == ["+a", "hi", "-a"]
    await consumer.ws.send("still open")
    assert await consumer.client.receive() == "still open"
    await consumer.finish()


async def test_leaving_is_idempotent_whoever_leaves_first(rooms: Rooms, enter: Enter) -> None:
    listener = await enter(encoder=notices)
    consumer = Consumer(rooms)
    member = await consumer.enter()
    await asyncio.gather(member.leave(), member.leave())
    await member.leave()
    assert await listener.hears(2) == ["+a", "-a"]
    assert len(rooms._connections) == 1
    await consumer.finish()

    consumer = Consumer(rooms)
    member = await consumer.enter()
    member.close(4000)
    await member.leave()
    await member.leave()
    assert await listener.hears(2) == ["+a", "-a"]
    assert await listener.client.receives_nothing()
    assert len(rooms._connections) == 1
    await consumer.finish()


async def test_a_member_of_a_block_may_leave_earlier(rooms: Rooms, enter: Enter) -> None:
    listener, guest = await enter(encoder=notices), await enter(info="a")
    await guest.member.leave()
    assert await listener.hears(2) == ["+a", "-a"]
    await guest.leave()
    assert await listener.client.receives_nothing()
    assert len(rooms._connections) == 1


async def test_the_disconnect_is_a_leave_though_nobody_calls_it(rooms: Rooms, enter: Enter) -> None:
    listener = await enter(encoder=notices)
    consumer = Consumer(rooms)
    await consumer.enter()
    disconnecting = asyncio.ensure_future(consumer.client.disconnect())
    assert await listener.hears(2) == ["+a", "-a"]
    assert await rooms.count("r") == 1
    await consumer.finish()
    await disconnecting


async def test_one_room_is_left_and_entered_again_while_another_goes_on(rooms: Rooms) -> None:
    consumer = Consumer(rooms)
    member = await consumer.enter()
    other = await rooms.enter("other", consumer.ws)
    with pytest.raises(AlreadyJoined):
        await rooms.enter("r", consumer.ws)
    await member.leave()
    assert not other.closed
    again = await rooms.enter("r", consumer.ws)
    assert again.id != member.id
    await rooms.publish("r", "one")
    await rooms.publish("other", "two")
    assert [await consumer.client.receive(), await consumer.client.receive()] == ["one", "two"]
    for each in (again, other):
        await each.leave()
    assert not rooms._connections
    await consumer.finish()


async def test_a_refused_enter_holds_nothing() -> None:
    async with Rooms("memory://", members_per_room=0) as full:
        consumer = Consumer(full)
        consumer.client._to_app.put_nowait({"type": "websocket.connect"})
        with pytest.raises(LimitReached):
            await consumer.client.finished()
        assert not full._connections
    with pytest.raises(RoomsClosed):
        await full.enter("r", consumer.ws)


async def test_a_connection_that_is_over_cannot_enter(rooms: Rooms) -> None:
    consumer = Consumer(rooms)
    member = await consumer.enter()
    member.close(4000, "enough")
    with pytest.raises(Disconnected, match="4000"):
        await rooms.enter("other", consumer.ws)
    await consumer.finish()
    await member.leave()
    assert await rooms.active() == {}


async def test_closing_the_rooms_ends_those_who_never_leave(rooms: Rooms) -> None:
    consumer = Consumer(rooms)
    await consumer.enter()
    await rooms.__aexit__(None, None, None)
    assert await consumer.client.closed() == 1012
    await consumer.finish()
    await settled()
    async with rooms:
        assert await rooms.active() == {}


async def test_a_thousand_rooms_entered_and_left_leave_nothing_behind() -> None:
    async with Rooms("memory://", rooms_per_connection=1000, linger=0) as rooms:
        consumer = Consumer(rooms)
        members = [await consumer.enter()]
        members += [await rooms.enter(str(number), consumer.ws, user=str(number % 10)) for number in range(999)]
        for member in members:
            await member.leave()
        node = rooms._node
        await until(lambda: not node.subscriptions._rooms)
        assert not rooms._connections
        assert not node.membership._rooms
        assert not node.users._users
        assert not node.farewells
        assert not rooms._broker._subscribed  # type: ignore[attr-defined]
        await consumer.finish()
