"""Coming and going with brokers that take their time and fail: all is undone once, and nothing is missed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import (
    BrokerUnavailable,
    Disconnected,
    LimitReached,
    Position,
    Publication,
    Rooms,
    UnsupportedData,
    WebSocket,
)
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.rooms.names import NODES
from roomcast.testing import connect
from tests.rooms.guests import DEADLINE, Guest, notices, settled, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Message, Receive, Scope, Send

    from roomcast import Member
    from tests.rooms.conftest import Enter

STEPS = ("subscribe", "arrive", "history", "publish", "depart", "unsubscribe")


class Network(MemoryBroker):
    """A broker behind a network: each step takes effect at once, and is acknowledged when the test lets it be.

    Attributes:
        slow: the steps that wait for `acknowledge`.
        down: the steps that fail before they take effect.
        asked: the steps in the order in which they were asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slow: set[str] = set()
        self.down: set[str] = set()
        self.asked: list[str] = []
        self.acknowledge = asyncio.Event()

    async def _step(self, name: str) -> None:
        self.asked.append(name)
        if name in self.down:
            raise BrokerUnavailable(f"{name}: no answer")

    async def _answer(self, name: str) -> None:
        if name in self.slow:
            await self.acknowledge.wait()

    async def subscribe(self, room: str) -> None:
        await self._step("subscribe")
        await super().subscribe(room)
        await self._answer("subscribe")

    async def unsubscribe(self, room: str) -> None:
        await self._step("unsubscribe")
        await super().unsubscribe(room)
        await self._answer("unsubscribe")

    async def arrive(self, room: str, member: str, presence: bytes) -> None:
        if room == NODES:  # The node's own arrival is no part of anybody's stay.
            await super().arrive(room, member, presence)
            return
        await self._step("arrive")
        await super().arrive(room, member, presence)
        await self._answer("arrive")

    async def depart(self, room: str, member: str) -> None:
        await self._step("depart")
        await super().depart(room, member)
        await self._answer("depart")

    async def publish(self, room: str, payload: bytes, *, key: str | None = None, keep: bool = True) -> Position:
        await self._step("publish")
        position = await super().publish(room, payload, key=key, keep=keep)
        await self._answer("publish")
        return position

    async def history(self, room: str, **settings: Any) -> Any:
        await self._step("history")
        history = await super().history(room, **settings)
        await self._answer("history")
        return history


@pytest.fixture
def broker() -> Network:
    return Network()


@pytest.fixture
async def rooms(broker: Network, _no_task_is_left_behind: None) -> AsyncIterator[Rooms]:
    rooms = Rooms(broker, linger=0)
    await rooms.__aenter__()
    yield rooms
    broker.acknowledge.set()
    async with asyncio.timeout(DEADLINE):
        await rooms.__aexit__(None, None, None)


def is_empty(rooms: Rooms, broker: Network) -> bool:
    return not (
        rooms._connections
        or rooms._node.farewells
        or rooms._node.membership._rooms
        or rooms._node.subscriptions._rooms
        or broker._subscribed
        or broker._present.keys() - {NODES}
    )


async def enters(guest: Guest) -> Guest:
    """Have a guest begin to join; its handler may have to wait for it."""
    guest.client._to_app.put_nowait({"type": "websocket.connect"})
    await settled()
    return guest


async def gone(guest: Guest) -> None:
    await asyncio.wait([guest.task], timeout=DEADLINE)
    assert guest.task.done()


# The order of things


async def test_a_stay_begins_and_ends_in_an_order_that_misses_nothing(rooms: Rooms, broker: Network) -> None:
    guest = await Guest(rooms, "r").enter()
    assert broker.asked == ["subscribe", "arrive", "publish"]
    broker.asked.clear()
    await guest.leave()
    await until(lambda: broker.asked == ["depart", "publish", "unsubscribe"])


async def test_the_connection_is_accepted_when_the_room_is_subscribed(rooms: Rooms, broker: Network) -> None:
    broker.slow = {"subscribe"}
    guest = await enters(Guest(rooms, "r"))
    assert await guest.client.receives_nothing()
    broker.acknowledge.set()
    event = await guest.client._next("the accept")
    assert event["type"] == "websocket.accept"
    await guest.leave()


async def test_what_is_said_while_the_server_is_still_busy_accepting_is_not_missed(rooms: Rooms) -> None:
    """The peer may be open before the acceptance returns, and count from then on."""
    client_is_open, go_on = asyncio.Event(), asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async def slowly(event: Message) -> None:
            await send(event)
            if event["type"] == "websocket.accept":
                client_is_open.set()
                await go_on.wait()

        async with rooms.join("r", WebSocket(scope, receive, slowly)) as member:
            async for _ in member:
                pass

    client = connect(application)
    opening = asyncio.ensure_future(client.open())
    await client_is_open.wait()
    await rooms.publish("r", "said in between")
    go_on.set()
    await opening
    await rooms.publish("r", "said later")
    assert [await client.receive(), await client.receive()] == ["said in between", "said later"]
    await client.disconnect()


# Failures and interruptions at every step


async def test_where_the_history_cannot_be_read_a_member_joins_and_is_told_that_it_misses_something(
    rooms: Rooms, broker: Network, caplog: pytest.LogCaptureFixture
) -> None:
    before = await rooms.publish("r", "missed")
    broker.down = {"history"}
    guest = await Guest(rooms, "r", since=Position(0, before.epoch)).enter()
    assert guest.member.recovered is False
    assert "was not given what it missed: history: no answer" in caplog.text
    await rooms.publish("r", "live")
    assert await guest.hears(1) == ["live"]
    await guest.leave()


@pytest.mark.parametrize("step", ["subscribe", "arrive", "publish"])
async def test_a_broker_that_fails_at_a_step_of_the_join_fails_the_join_and_leaves_no_trace(
    rooms: Rooms, broker: Network, step: str
) -> None:
    listener = await Guest(rooms, "r", encoder=notices).enter()
    broker.down = {step}

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(BrokerUnavailable, match=f"{step}: no answer"):
            async with rooms.join(
                "other" if step == "subscribe" else "r", (scope, receive, send), since=Position(0, "")
            ):
                pytest.fail("it has joined")

    client = connect(handler)
    client._to_app.put_nowait({"type": "websocket.connect"})
    await client.finished()
    broker.down = set()
    assert await rooms.active() == {"r": 1}
    assert len(rooms._connections) == 1
    assert await listener.client.receives_nothing()
    await listener.leave()
    await until(lambda: is_empty(rooms, broker))


async def test_one_whose_coming_could_not_be_told_is_not_told_to_have_left(rooms: Rooms, broker: Network) -> None:
    listener = await Guest(rooms, "r", encoder=notices).enter()
    publish = broker.publish

    async def fail_once(_room: str, _payload: bytes, **_settings: Any) -> Position:
        broker.publish = publish  # type: ignore[method-assign]
        raise BrokerUnavailable("publish: no answer")

    broker.publish = fail_once  # type: ignore[method-assign, assignment]
    guest = await enters(Guest(rooms, "r", info="a"))
    await gone(guest)
    assert isinstance(guest.task.exception(), BrokerUnavailable)
    assert await listener.client.receives_nothing()
    await listener.leave()
    await until(lambda: is_empty(rooms, broker))


async def test_a_full_room_is_refused_without_a_word_to_the_broker(broker: Network) -> None:
    async with Rooms(broker, members_per_room=1) as rooms:
        member = await Guest(rooms, "r").enter()
        broker.asked.clear()
        guest = await enters(Guest(rooms, "r"))
        await gone(guest)
        assert isinstance(guest.task.exception(), LimitReached)
        assert broker.asked == []
        await member.leave()


@pytest.mark.parametrize("step", ["subscribe", "arrive", "history", "publish"])
async def test_a_join_that_is_cancelled_at_any_step_leaves_no_trace(
    rooms: Rooms, broker: Network, step: str
) -> None:
    listener = await Guest(rooms, "r", encoder=notices).enter()
    room = "other" if step == "subscribe" else "r"
    broker.slow = {step}
    broker.asked.clear()
    guest = await enters(Guest(rooms, room, info="a", since=Position(0, "")))
    assert broker.asked[-1] == step
    guest.task.cancel()
    broker.acknowledge.set()
    await gone(guest)
    assert guest.task.cancelled()
    assert await rooms.active() == {"r": 1}
    if step == "publish":  # the notice was carried, though its acknowledgement was not waited for
        assert await listener.hears(2) == ["+a", "-a"]
    assert await listener.client.receives_nothing()
    await listener.leave()
    assert not rooms._connections
    await until(lambda: not rooms._node.subscriptions._rooms)
    assert rooms._node.membership._rooms == {}


@pytest.mark.parametrize("step", ["depart", "publish", "unsubscribe"])
async def test_a_leave_that_is_cancelled_at_any_step_is_done_all_the_same(
    rooms: Rooms, broker: Network, step: str
) -> None:
    guest = await Guest(rooms, "r").enter()
    broker.asked.clear()
    broker.slow = {step}
    leaving = asyncio.ensure_future(guest.leave())
    await until(lambda: step in broker.asked)
    guest.task.cancel()
    await gone(guest)
    assert guest.task.cancelled()
    broker.acknowledge.set()
    await until(lambda: is_empty(rooms, broker))
    await asyncio.wait([leaving])


@pytest.mark.parametrize("step", ["depart", "publish", "unsubscribe"])
async def test_a_broker_that_fails_at_a_step_of_the_leave_is_told_of_the_rest_and_harms_no_handler(
    rooms: Rooms, broker: Network, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    guest = await Guest(rooms, "r").enter()
    broker.asked.clear()
    broker.down = {step}
    await guest.leave()
    assert guest.left.is_set()
    await until(lambda: broker.asked == ["depart", "publish", "unsubscribe"])
    assert not rooms._connections
    assert rooms._node.membership._rooms == {}
    await until(lambda: not rooms._node.subscriptions._rooms)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert f"{step}: no answer" in record.getMessage()


async def test_a_member_is_out_at_once_though_the_broker_takes_its_time(rooms: Rooms, broker: Network) -> None:
    guest = await Guest(rooms, "r").enter()
    broker.slow = {"depart"}
    guest.member.close(4000)
    await rooms.publish("r", "not for a member that is gone")
    assert guest.member.stats.dropped == 0
    assert await guest.client.closed() == 4000
    broker.acknowledge.set()
    await guest.client.finished()


async def test_one_leave_is_made_of_a_close_a_disconnect_and_a_cancellation_together(
    rooms: Rooms, broker: Network
) -> None:
    listener = await Guest(rooms, "r", encoder=notices).enter()
    guest = await Guest(rooms, "r", info="a").enter()
    broker.slow = {"depart"}
    guest.member.close(4000)
    leaving = asyncio.ensure_future(guest.leave())
    await settled()
    guest.task.cancel()
    broker.acknowledge.set()
    await gone(guest)
    await asyncio.wait([leaving])
    assert await listener.hears(2) == ["+a", "-a"]
    assert await listener.client.receives_nothing()
    await listener.leave()


@pytest.mark.parametrize("step", ["subscribe", "arrive", "history", "publish"])
async def test_a_connection_that_closes_while_it_joins_does_not_join(
    rooms: Rooms, broker: Network, step: str
) -> None:
    """As where another of its rooms finds it too slow."""
    listener = await Guest(rooms, "r", encoder=notices).enter()
    guest = await Guest(rooms, "home").enter()
    broker.slow = {step}
    outcome: list[object] = []

    async def join() -> None:
        try:
            async with rooms.join(
                "other" if step == "subscribe" else "r", guest.ws, info="a", since=Position(0, "")
            ):
                outcome.append("in")
                await settled()
        except Disconnected as error:
            outcome.append(error.code)

    joining = asyncio.ensure_future(join())
    await settled()
    guest.member.close(4000)
    await settled()
    broker.acknowledge.set()
    await joining
    if step == "publish":
        assert outcome == ["in"]
        assert await listener.hears(2) == ["+a", "-a"]
    else:
        assert outcome == [4000]
    assert await listener.client.receives_nothing()
    await guest.client.finished()
    await listener.leave()
    assert not rooms._connections
    assert rooms._node.membership._rooms == {}
    await until(lambda: not rooms._node.subscriptions._rooms)


async def test_a_room_left_and_joined_in_the_same_moment_is_still_subscribed(
    rooms: Rooms, broker: Network
) -> None:
    first = await Guest(rooms, "r").enter()
    broker.slow = {"unsubscribe"}
    leaving = asyncio.ensure_future(first.leave())
    await until(lambda: broker.asked[-1] == "unsubscribe")
    second = await enters(Guest(rooms, "r"))
    broker.acknowledge.set()
    await leaving
    await until(lambda: second._member)
    await rooms.publish("r", "hi")
    assert (await second.client._next("the accept"))["type"] == "websocket.accept"
    assert await second.hears(1) == ["hi"]
    await second.leave()
    await until(lambda: is_empty(rooms, broker))


# Coming back


async def test_who_comes_back_gets_what_it_missed_and_then_what_comes(rooms: Rooms) -> None:
    since = await rooms.publish("r", "known")
    await rooms.publish("r", "missed 1")
    await rooms.publish("r", b"missed 2")
    guest = await Guest(rooms, "r", since=since).enter()
    assert guest.member.recovered is True
    await rooms.publish("r", "new")
    assert await guest.hears(3) == ["missed 1", b"missed 2", "new"]
    assert await guest.client.receives_nothing()
    await guest.leave()


async def test_who_comes_for_the_first_time_gets_nothing_from_before(rooms: Rooms) -> None:
    await rooms.publish("r", "before")
    guest = await Guest(rooms, "r").enter()
    assert guest.member.recovered is None
    assert await guest.client.receives_nothing()
    await guest.leave()


async def test_who_has_missed_nothing_gets_nothing(rooms: Rooms) -> None:
    since = await rooms.publish("r", "known")
    guest = await Guest(rooms, "r", since=since).enter()
    assert guest.member.recovered is True
    assert await guest.client.receives_nothing()
    await guest.leave()


@pytest.mark.parametrize("since", [Position(1, "another life"), Position(7, "")])
async def test_who_cannot_get_all_that_it_missed_is_told(rooms: Rooms, since: Position) -> None:
    position = await rooms.publish("r", "kept")
    guest = await Guest(rooms, "r", since=Position(since.offset, since.epoch or position.epoch)).enter()
    assert guest.member.recovered is False
    assert await guest.hears(1 if since.epoch else 0) == (["kept"] if since.epoch else [])
    await guest.leave()


async def test_what_was_missed_is_written_in_the_members_own_format(rooms: Rooms) -> None:
    since = await rooms.position("r")
    await rooms.publish("r", "hi")

    def shout(event: Any) -> str | None:
        return f"{event.position.offset}:{event.data.upper()}" if hasattr(event, "data") else None

    guest = await Guest(rooms, "r", since=since, encoder=shout).enter()
    assert await guest.hears(1) == ["1:HI"]
    await guest.leave()


async def test_what_the_members_format_has_nothing_for_is_not_missed(rooms: Rooms) -> None:
    since = await rooms.position("r")
    for data in ("even", b"odd", "even"):
        await rooms.publish("r", data)

    def text_only(event: Any) -> str | None:
        return event.data if isinstance(event, Publication) and isinstance(event.data, str) else None

    guest = await Guest(rooms, "r", since=since, encoder=text_only).enter()
    assert await guest.hears(2) == ["even", "even"]
    await guest.leave()


async def test_the_greeting_comes_first_and_knows_whether_all_was_recovered(rooms: Rooms) -> None:
    since = await rooms.position("r")
    await rooms.publish("r", "missed")
    seen: list[object] = []

    async def greet(member: Member) -> str:
        seen.append((member.recovered, await rooms.count("r")))
        await rooms.publish("r", "said meanwhile")
        await rooms.publish("r", "passing", keep=False)
        return "welcome"

    guest = await Guest(rooms, "r", since=since, greet=greet).enter()
    assert seen == [(True, 1)]
    assert await guest.hears(4) == ["welcome", "missed", "said meanwhile", "passing"]
    await guest.leave()


async def test_a_greeting_without_coming_back_comes_before_what_is_said_meanwhile(rooms: Rooms) -> None:
    async def greet(_member: Member) -> str:
        await rooms.publish("r", "said meanwhile")
        return "welcome"

    guest = await Guest(rooms, "r", greet=greet).enter()
    assert await guest.hears(2) == ["welcome", "said meanwhile"]
    await guest.leave()


@pytest.mark.parametrize("greeting", [ZeroDivisionError("oops"), None, {"a": 1}])
async def test_a_greeting_that_fails_fails_the_join_and_leaves_no_trace(
    rooms: Rooms, broker: Network, greeting: Any
) -> None:
    listener = await Guest(rooms, "r", encoder=notices).enter()

    async def greet(_member: Member) -> str:
        if isinstance(greeting, Exception):
            raise greeting
        return greeting  # type: ignore[no-any-return]  # which is the point

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(type(greeting) if isinstance(greeting, Exception) else UnsupportedData):
            async with rooms.join("r", (scope, receive, send), greet=greet):
                pytest.fail("it has joined")

    client = await connect(handler).open()
    await client.finished()
    assert await listener.client.receives_nothing()
    await listener.leave()
    await until(lambda: is_empty(rooms, broker))


async def test_what_comes_between_the_history_and_the_end_of_catching_up_comes_once(
    rooms: Rooms, broker: Network
) -> None:
    since = await rooms.publish("r", "0")
    await rooms.publish("r", "1")
    broker.slow = {"history"}
    guest = await enters(Guest(rooms, "r", since=since))
    broker.slow = set()
    for number in range(2, 5):
        await rooms.publish("r", str(number))
    broker.acknowledge.set()
    await until(lambda: guest._member)
    await rooms.publish("r", "5")
    assert (await guest.client._next("the accept"))["type"] == "websocket.accept"
    assert await guest.hears(5) == ["1", "2", "3", "4", "5"]
    assert await guest.client.receives_nothing()
    await guest.leave()


async def test_what_comes_before_the_history_is_read_comes_once(rooms: Rooms, broker: Network) -> None:
    """The answer to the question for the history holds what was also delivered while it was on its way."""
    since = await rooms.publish("r", "0")
    asked = broker.history

    async def late(room: str, **settings: Any) -> Any:
        await rooms.publish("r", "1")
        return await asked(room, **settings)

    broker.history = late  # type: ignore[method-assign]
    guest = await Guest(rooms, "r", since=since).enter()
    assert await guest.hears(1) == ["1"]
    assert await guest.client.receives_nothing()
    await guest.leave()


async def test_a_room_that_began_a_new_life_meanwhile_is_heard_from_its_first_publication(
    rooms: Rooms, broker: Network
) -> None:
    """Offsets of two epochs cannot be compared: the small one of the new life is no repetition."""
    since = await rooms.publish("r", "1")
    await rooms.publish("r", "2")
    broker.slow = {"history"}
    guest = await enters(Guest(rooms, "r", since=since))
    broker.slow = set()
    del broker._rooms["r"]
    await rooms.publish("r", "the first of the new life")
    broker.acknowledge.set()
    await until(lambda: guest._member)
    assert (await guest.client._next("the accept"))["type"] == "websocket.accept"
    assert await guest.hears(2) == ["2", "the first of the new life"]
    await guest.leave()


async def test_who_comes_back_does_not_get_what_it_had_excluded_itself_from(rooms: Rooms) -> None:
    since = await rooms.position("r")
    ids: list[str] = []
    for visit in range(3):
        guest = await Guest(rooms, "r", since=since, formerly=ids).enter()
        ids.append(guest.member.id)
        await rooms.publish("r", f"its own {visit}", exclude=guest.member)
        await guest.leave()
    await rooms.publish("r", "another's")
    guest = await Guest(rooms, "r", since=since, formerly=ids).enter()
    assert guest.member.recovered is True
    assert await guest.hears(1) == ["another's"]
    for former in ids:  # as where its old handler is still busy with what came last
        await rooms.publish("r", "late", exclude=former)
    assert await guest.client.receives_nothing()
    await guest.leave()
    stranger = await Guest(rooms, "r", since=since).enter()
    assert len(await stranger.hears(7)) == 7
    await stranger.leave()


async def test_of_very_many_former_ids_the_last_count(rooms: Rooms) -> None:
    guest = await Guest(rooms, "r", formerly=(str(number) for number in range(100))).enter()
    assert guest.member.formerly == {str(number) for number in range(36, 100)}
    await guest.leave()


@pytest.mark.parametrize("how", ["disconnect", "close"])
async def test_who_goes_in_the_middle_of_what_it_missed_has_not_joined_and_gets_the_rest_next_time(
    rooms: Rooms, how: str
) -> None:
    """A half-recovered member is never taken for a whole one, whatever it was told at first."""
    since = await rooms.position("r")
    positions = [await rooms.publish("r", f"{number}") for number in range(4)]
    third_may_go, third_waits = asyncio.Event(), asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async def slowly(event: Message) -> None:
            if event.get("text") == "2":
                third_waits.set()
                await third_may_go.wait()
                if how == "disconnect":
                    raise OSError("gone")
            await send(event)

        with pytest.raises(Disconnected):
            async with rooms.join("r", WebSocket(scope, receive, slowly), since=since):
                pytest.fail("it has joined")

    client = await connect(application).open()
    assert [await client.receive(), await client.receive()] == ["0", "1"]
    await third_waits.wait()
    if how == "close":
        next(iter(rooms._node.membership.of("r"))).close(4000)
    third_may_go.set()
    await client.finished()
    guest = await Guest(rooms, "r", since=positions[1]).enter()
    assert guest.member.recovered is True
    assert await guest.hears(2) == ["2", "3"]
    await guest.leave()


async def test_who_missed_more_than_is_kept_is_told_so_though_it_gets_what_is_kept(rooms: Rooms) -> None:
    since = await rooms.publish("r", "known")
    for number in range(300):
        await rooms.publish("r", str(number))
    guest = await Guest(rooms, "r", since=since).enter()
    assert guest.member.recovered is False
    assert await guest.hears(256) == [str(number) for number in range(44, 300)]
    await guest.leave()


@pytest.mark.parametrize("size", [4000, 250_000])
async def test_more_than_an_outlet_holds_can_be_caught_up_with(rooms: Rooms, size: int) -> None:
    """Else a member that had missed much would be closed as too slow each time that it came back."""
    since = await rooms.position("r")
    count = min(256, (1 << 20) // (size + 100))
    for number in range(count):
        await rooms.publish("r", f"{number:03}".ljust(size, "x"))

    def twice(event: Any) -> str | None:
        return event.data * 2 if hasattr(event, "data") else None

    guest = await Guest(rooms, "r", since=since, encoder=twice).enter()
    assert guest.member.recovered
    await rooms.publish("r", "new")
    heard = await guest.hears(count + 1)
    assert [str(message)[:3] for message in heard[:-1]] == [f"{number:03}" for number in range(count)]
    assert heard[-1] == "newnew"
    await guest.leave()


async def test_what_was_missed_and_what_came_meanwhile_may_be_more_than_an_outlet_holds(rooms: Rooms) -> None:
    since = await rooms.position("r")
    await rooms.publish("r", "missed".ljust(900_000, "x"))

    async def greet(_member: Member) -> str:
        await rooms.publish("r", "meanwhile".ljust(500_000, "x"))
        return "welcome"

    guest = await Guest(rooms, "r", since=since, greet=greet).enter()
    assert [str(message).rstrip("x") for message in await guest.hears(3)] == ["welcome", "missed", "meanwhile"]
    await guest.leave()


async def catching_up_with_a_peer_that_does_not_read(rooms: Rooms) -> Guest:
    since = await rooms.position("r")
    for _ in range(3):
        await rooms.publish("r", "missed")

    async def greet(_member: Member) -> str:
        guest.client.stall()
        return "welcome"

    guest = Guest(rooms, "r", since=since, greet=greet)
    await enters(guest)
    assert (await guest.client._next("the accept"))["type"] == "websocket.accept"
    assert not guest.task.done()
    assert guest._member is None
    return guest


@pytest.mark.usefixtures("impatient")
async def test_a_peer_that_does_not_read_while_it_catches_up_delays_nobody_and_is_closed_at_the_bound(
    rooms: Rooms, broker: Network
) -> None:
    listener = await Guest(rooms, "r").enter()
    guest = await catching_up_with_a_peer_that_does_not_read(rooms)
    assert await listener.hears(3) == ["missed"] * 3
    for _ in range(11):
        await rooms.publish("r", "x" * 100_000)
        assert len((await listener.hears(1))[0]) == 100_000
    await gone(guest)
    assert guest.ws.close_code == 4020
    await rooms.publish("r", "on it goes")
    assert await listener.hears(1) == ["on it goes"]
    await listener.leave()
    await until(lambda: is_empty(rooms, broker))


@pytest.mark.usefixtures("impatient")
async def test_small_messages_that_wait_for_the_end_of_catching_up_are_bounded_too(rooms: Rooms) -> None:
    guest = await catching_up_with_a_peer_that_does_not_read(rooms)
    [member] = rooms._node.membership.of("r")
    published = 0
    while not member.closed:
        await rooms.publish("r", "", keep=False)
        published += 1
        assert published < 10_000
    assert member.release() == []
    await gone(guest)
    assert guest.ws.close_code == 4020


@pytest.mark.parametrize("how", ["cancel", "disconnect"])
async def test_who_goes_while_it_catches_up_leaves_no_trace(rooms: Rooms, broker: Network, how: str) -> None:
    guest = await catching_up_with_a_peer_that_does_not_read(rooms)
    if how == "cancel":
        guest.task.cancel()
        await settled()
        guest.client.resume()
    else:
        await guest.client.disconnect()
    await gone(guest)
    await until(lambda: is_empty(rooms, broker))


@pytest.mark.parametrize("waits_for", [lambda: None, settled])
async def test_many_come_back_at_once_while_others_speak(
    rooms: Rooms, enter: Enter, waits_for: Callable[[], Any]
) -> None:
    await enter()
    since = await rooms.position("r")

    async def speak() -> None:
        for number in range(100):
            await rooms.publish("r", str(number))
            if (waiting := waits_for()) is not None:
                await waiting

    speaking = asyncio.ensure_future(speak())
    guests: list[Guest] = []
    for _ in range(20):
        await asyncio.sleep(0)
        guests.append(await Guest(rooms, "r", since=since).enter())
    await speaking
    for guest in guests:
        assert await guest.hears(100) == [str(number) for number in range(100)]
        assert await guest.client.receives_nothing()
        await guest.leave()
