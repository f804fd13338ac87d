"""What an app is told of joins and leaves: each once, in order, and nobody waits for it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import AlreadyJoined, Position, Presence, Rooms, Unpublishable
from roomcast.rooms.brokers.memory import MemoryBroker
from tests.rooms.guests import Guest, notices, settled, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.rooms.conftest import Enter


@pytest.fixture
def told(rooms: Rooms) -> list[str]:
    """Whose joins and leaves were told, as `+info` and `-info`."""
    told: list[str] = []

    @rooms.on_join
    async def joined(room: str, member: Presence) -> None:
        assert room == "r"
        await asyncio.sleep(0)
        told.append(f"+{member.info}")

    @rooms.on_leave
    def left(room: str, member: Presence) -> None:
        assert room == "r"
        told.append(f"-{member.info}")

    return told


async def test_joins_and_leaves_are_told_in_their_order(told: list[str], enter: Enter) -> None:
    first = await enter(info="a")
    second = await enter(info="b")
    await first.leave()
    await second.leave()
    await until(lambda: told == ["+a", "+b", "-a", "-b"])


async def test_they_are_told_with_room_and_presence(rooms: Rooms, enter: Enter) -> None:
    calls: list[tuple[str, Presence]] = []
    assert rooms.on_join(lambda room, member: calls.append((room, member))) is not None
    guest = await enter("lobby", user="ada", info={"name": "Ada"})
    await until(lambda: calls == [("lobby", guest.member.presence)])


async def test_several_callbacks_are_called_in_the_order_of_their_registration(rooms: Rooms, enter: Enter) -> None:
    calls: list[int] = []
    for number in range(3):
        rooms.on_join(lambda _room, _member, number=number: calls.append(number))
    await enter()
    await until(lambda: calls == [0, 1, 2])


async def test_each_node_is_told_of_its_own_members_only(rooms: Rooms, told: list[str], enter: Enter) -> None:
    await enter(info="a")
    notice = b"j" + bytes(9) + Presence("another node's", None, "b", 0.0).to_bytes()
    await rooms._broker.publish("r", notice, keep=False)
    await settled()
    assert told == ["+a"]


async def test_a_callback_that_raises_is_logged_and_harms_nobody(
    rooms: Rooms, enter: Enter, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []

    @rooms.on_join
    async def fails(_room: str, _member: Presence) -> None:
        raise ZeroDivisionError

    @rooms.on_join
    def fails_too(_room: str, _member: Presence) -> None:
        raise ZeroDivisionError

    @rooms.on_join
    async def is_cancelled(_room: str, _member: Presence) -> None:
        raise asyncio.CancelledError

    rooms.on_join(lambda _room, member: told.append(member.info))
    guest, listener = await enter(info="a"), await enter(info="b")
    await until(lambda: told == ["a", "b"])
    await rooms.publish("r", "hi")
    assert await guest.hears(1) == await listener.hears(1) == ["hi"]
    assert len(caplog.records) == 6
    for record in caplog.records:
        assert (record.name, record.levelno) == ("roomcast.rooms", logging.ERROR)
        assert record.exc_info is not None
    assert f"for member {guest.member.id} of 'r'" in caplog.text


async def test_a_callback_that_takes_its_time_delays_no_member_and_no_publication(
    rooms: Rooms, enter: Enter
) -> None:
    go_on, told = asyncio.Event(), []

    @rooms.on_join
    async def slow(_room: str, member: Presence) -> None:
        await go_on.wait()
        told.append(f"+{member.info}")

    rooms.on_leave(lambda _room, member: told.append(f"-{member.info}"))
    listener, guest = await enter(encoder=notices, info="a"), await enter(info="b")
    await rooms.publish("r", "hi")
    assert await guest.hears(1) == ["hi"]
    await guest.leave()
    assert await listener.hears(3) == ["+b", "hi", "-b"]
    assert told == []
    go_on.set()
    await until(lambda: told == ["+a", "+b", "-b"])


async def test_a_callback_that_takes_too_long_is_given_up(
    rooms: Rooms, enter: Enter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("roomcast.rooms.callbacks.CALLBACK_TIMEOUT", 0.01)
    told = []

    @rooms.on_join
    async def stuck(_room: str, _member: Presence) -> None:
        await asyncio.Event().wait()

    rooms.on_join(lambda _room, member: told.append(member.info))
    await enter(info="a")
    await until(lambda: told == ["a"])
    assert "took longer than 0.01 s, for member" in caplog.text


async def test_a_callback_may_use_the_rooms(rooms: Rooms, enter: Enter) -> None:
    @rooms.on_join
    async def announce(room: str, member: Presence) -> None:
        await rooms.publish(room, f"{member.info}, number {await rooms.count(room)}")

    guest = await enter(info="a")
    assert await guest.hears(1) == ["a, number 1"]


async def test_a_callback_is_in_no_context_of_a_handlers(rooms: Rooms) -> None:
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    seen: list[str] = []
    rooms.on_join(lambda _room, _member: seen.append(request.get()))
    request.set("of the first handler")
    guest = await Guest(rooms, "r").enter()
    await until(lambda: seen == ["none"])
    await guest.leave()


# Each join that is told has one leave


class Slow(MemoryBroker):
    """A broker whose publishing waits for the test, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.waiting = 0

    async def publish(self, room: str, payload: bytes, *, key: str | None = None, keep: bool = True) -> Position:
        self.waiting += 1
        try:
            await self.go_on.wait()
        finally:
            self.waiting -= 1
        return await super().publish(room, payload, key=key, keep=keep)


@pytest.fixture
async def slow(_no_task_is_left_behind: None) -> AsyncIterator[tuple[Rooms, Slow]]:
    broker = Slow()
    async with Rooms(broker, linger=0, members_per_room=3) as rooms:
        yield rooms, broker
        broker.go_on.set()


async def test_a_refused_join_tells_nothing(rooms: Rooms, told: list[str], enter: Enter) -> None:
    guest = await enter(info="a")
    await until(lambda: told == ["+a"])

    async def fails(_member: object) -> str:
        raise ZeroDivisionError

    with pytest.raises(AlreadyJoined):
        await rooms.enter("r", guest.ws)
    with pytest.raises(Unpublishable):
        await rooms.enter("other", guest.ws, info={1})
    with pytest.raises(ZeroDivisionError):
        await rooms.enter("other", guest.ws, greet=fails)
    await guest.leave()
    await until(lambda: told == ["+a", "-a"])


@pytest.mark.parametrize("how", ["cancel", "close", "disconnect"])
async def test_a_join_that_does_not_come_to_its_end_is_told_with_its_leave_or_not_at_all(
    slow: tuple[Rooms, Slow], how: str
) -> None:
    rooms, broker = slow
    told: list[str] = []
    rooms.on_join(lambda _room, member: told.append(f"+{member.info}"))
    rooms.on_leave(lambda _room, member: told.append(f"-{member.info}"))
    broker.go_on.clear()
    guest = Guest(rooms, "r", info="a")
    guest.client._to_app.put_nowait({"type": "websocket.connect"})
    await until(lambda: broker.waiting)
    if how == "cancel":
        guest.task.cancel()
    elif how == "close":
        next(iter(rooms._node.membership.of("r"))).close(4000)
    else:
        guest.client._to_app.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await settled()
    broker.go_on.set()
    await asyncio.wait([guest.task])
    await until(lambda: not rooms._node.farewells)
    await settled()
    assert told == ([] if how == "cancel" else ["+a", "-a"])


async def test_whatever_comes_and_goes_each_join_that_is_told_has_one_leave(slow: tuple[Rooms, Slow]) -> None:
    rooms, _ = slow
    there: set[str] = set()
    gone: list[str] = []

    @rooms.on_join
    async def joined(_room: str, member: Presence) -> None:
        await asyncio.sleep(0)
        assert member.id not in there
        assert member.id not in gone
        there.add(member.id)

    @rooms.on_leave
    async def left(_room: str, member: Presence) -> None:
        there.remove(member.id)
        gone.append(member.id)

    async def visit(number: int) -> None:
        guest = Guest(rooms, f"room {number % 7}", info=number)
        opening = asyncio.ensure_future(guest.client.open())
        for _ in range(number % 13):
            await asyncio.sleep(0)
        if number % 3 == 0:
            await asyncio.wait([opening])
            guest.client._to_app.put_nowait({"type": "websocket.disconnect", "code": 1001})
        else:
            guest.client._app.cancel()
        await asyncio.gather(guest.client._app, opening, return_exceptions=True)

    await asyncio.gather(*(visit(number) for number in range(200)))
    await until(lambda: not rooms._node.farewells and rooms._callbacks._calling is None)
    assert not there
    assert gone


async def test_too_many_joins_are_counted_and_told_with_their_leaves_or_not_at_all(
    rooms: Rooms, enter: Enter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("roomcast.rooms.callbacks.MOST_WAITING", 2)
    go_on, told = asyncio.Event(), []

    @rooms.on_join
    async def slow(_room: str, member: Presence) -> None:
        await go_on.wait()
        told.append(f"+{member.info}")

    rooms.on_leave(lambda _room, member: told.append(f"-{member.info}"))
    guests = [await enter(info=number) for number in range(5)]
    await settled()
    for guest in guests:
        await guest.leave()
    go_on.set()
    await until(lambda: rooms._callbacks._calling is None)
    assert told == ["+0", "+1", "+2", "-0", "-1", "-2"]
    assert rooms._callbacks.untold == 2
    assert caplog.text.count("callbacks are too slow: 2 wait, and what joins now is not told") == 1


# The end


async def test_closing_the_rooms_tells_of_all_leaves_before_it_is_over() -> None:
    told: list[str] = []
    async with Rooms("memory://") as rooms:

        @rooms.on_leave
        async def left(_room: str, member: Presence) -> None:
            await asyncio.sleep(0.001)
            told.append(member.info)

        guests = [await Guest(rooms, "r", info=name).enter() for name in "abc"]
    assert told == ["a", "b", "c"]
    for guest in guests:
        await guest.client.finished()


async def test_closing_the_rooms_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("roomcast.rooms.callbacks.CLOSE_TIMEOUT", 0.01)
    async with Rooms("memory://") as rooms:

        @rooms.on_leave
        async def stuck(_room: str, _member: Presence) -> None:
            await asyncio.Event().wait()

        guests = [await Guest(rooms, "r").enter() for _ in range(3)]
    assert "the rooms close, and 3 callbacks were not called or not over" in caplog.text
    for guest in guests:
        await guest.client.finished()


async def test_a_leave_that_a_callback_wants_to_publish_as_the_rooms_close_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rooms = Rooms("memory://")

    @rooms.on_leave
    async def announce(room: str, _member: Presence) -> None:
        await rooms.publish(room, "one less")

    async with rooms:
        guest = await Guest(rooms, "r").enter()
    assert caplog.records == []
    await guest.client.finished()


async def test_an_app_without_callbacks_has_no_task_for_them(rooms: Rooms, enter: Enter) -> None:
    await enter()
    assert rooms._callbacks._calling is None
