from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi import WebSocket as FastAPIWebSocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket
from starlette.websockets import WebSocketDisconnect

from roomcast import (
    AlreadyJoined,
    ConfigurationError,
    Disconnected,
    InvalidHandshake,
    InvalidKey,
    InvalidRoomName,
    LimitReached,
    Position,
    Presence,
    Publication,
    Rooms,
    RoomsClosed,
    Unpublishable,
    WebSocket,
)
from roomcast.rooms.brokers.memory import SWEEP_INTERVAL, MemoryBroker
from roomcast.testing import connect, lifespan
from tests.rooms.guests import Guest, notices, settled, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from tests.rooms.conftest import Enter


def app(handler: Callable[[WebSocket], Awaitable[None]]) -> ASGIApp:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(WebSocket(scope, receive, send))

    return application


# Publishing


async def test_a_publication_reaches_every_member_once(rooms: Rooms, enter: Enter) -> None:
    guests = [await enter() for _ in range(3)]
    await rooms.publish("r", "hi")
    await rooms.publish("r", b"\x00")
    for guest in guests:
        assert await guest.hears(2) == ["hi", b"\x00"]
        assert await guest.client.receives_nothing()


async def test_a_publication_stays_in_its_room(rooms: Rooms, enter: Enter) -> None:
    inside, outside = await enter("r"), await enter("other")
    await rooms.publish("r", "hi")
    assert await inside.hears(1) == ["hi"]
    assert await outside.client.receives_nothing()


async def test_publishing_into_an_empty_room_takes_its_place_in_the_order(rooms: Rooms) -> None:
    assert (await rooms.publish("r", "nobody hears it")).offset == 1
    assert (await rooms.publish("r", "nor this")).offset == 2


async def test_positions_count_up_by_one_whoever_publishes(rooms: Rooms, enter: Enter) -> None:
    await enter()
    async with asyncio.TaskGroup() as tasks:
        publishing = [tasks.create_task(rooms.publish("r", str(number))) for number in range(50)]
    positions = [task.result() for task in publishing]
    assert sorted(position.offset for position in positions) == list(range(1, 51))
    assert len({position.epoch for position in positions}) == 1
    assert await rooms.position("r") == Position(50, positions[0].epoch)


async def test_all_members_see_one_order_whoever_publishes(rooms: Rooms, enter: Enter) -> None:
    guests = [await enter() for _ in range(3)]

    async def talk(name: str) -> None:
        for number in range(20):
            await rooms.publish("r", f"{name}{number}")
            for _ in range(number % 3):
                await asyncio.sleep(0)

    await asyncio.gather(*(talk(name) for name in "abc"))
    heard = [await guest.hears(60) for guest in guests]
    assert heard[0] == heard[1] == heard[2]
    assert heard[0] == [publication.data for publication in await rooms.history("r")]


@pytest.mark.parametrize("as_id", [False, True])
async def test_the_excluded_member_alone_gets_nothing(rooms: Rooms, enter: Enter, as_id: bool) -> None:
    speaker, listener = await enter(), await enter()
    await rooms.publish("r", "hi", exclude=speaker.member.id if as_id else speaker.member)
    assert await listener.hears(1) == ["hi"]
    assert await speaker.client.receives_nothing()


@pytest.mark.parametrize("name", ["nobody", "", "x" * 10_000])
async def test_excluding_somebody_unknown_excludes_nobody(rooms: Rooms, enter: Enter, name: str) -> None:
    guest = await enter()
    await rooms.publish("r", "hi", exclude=name)
    assert await guest.hears(1) == ["hi"]


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("k" * 256, "at most 255 characters, and this one 256"),
        (7, "a str, not int"),
        (b"k", "a str, not bytes"),
        ("\ud800", "UTF-8"),
    ],
)
async def test_a_key_that_is_none_is_refused_and_nothing_is_published(rooms: Rooms, key: Any, told: str) -> None:
    with pytest.raises(InvalidKey, match=told):
        await rooms.publish("r", "hi", key=key)
    assert (await rooms.publish("r", "hi", key="k" * 255)).offset == 1


async def test_a_key_makes_a_repeated_publish_harmless(rooms: Rooms, enter: Enter) -> None:
    guest = await enter()
    first = await rooms.publish("r", "hi", key="k")
    await rooms.publish("r", "then")
    assert await rooms.publish("r", "hi", key="k") == first
    assert await guest.hears(2) == ["hi", "then"]
    assert await guest.client.receives_nothing()
    assert len(await rooms.history("r")) == 2


async def test_what_is_not_kept_is_heard_but_not_remembered(rooms: Rooms, enter: Enter) -> None:
    guest = await enter()
    first = await rooms.publish("r", "kept")
    assert await rooms.publish("r", "typing…", keep=False) == first
    assert await guest.hears(2) == ["kept", "typing…"]
    assert [publication.data for publication in await rooms.history("r")] == ["kept"]


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        ("", ""),
        (b"", b""),
        (bytearray(b"x"), b"x"),
        (memoryview(b"abcd")[::2], b"ac"),
        ({"text": "é"}, '{"text":"é"}'),
        ([1, None], "[1,null]"),
        (None, "null"),
        (5, "5"),
        (True, "true"),
        (["\ud800"], '["\\ud800"]'),
    ],
)
async def test_str_goes_as_text_bytes_as_binary_and_the_rest_as_json(
    rooms: Rooms, enter: Enter, data: Any, heard: str | bytes
) -> None:
    guest = await enter()
    await rooms.publish("r", data)
    assert await guest.hears(1) == [heard]


async def test_what_was_published_cannot_be_changed_afterwards(rooms: Rooms, enter: Enter) -> None:
    guest = await enter()
    data = bytearray(b"before")
    await rooms.publish("r", data)
    data[:] = b"after!"
    assert await guest.hears(1) == [b"before"]
    assert (await rooms.history("r"))[0].data == b"before"


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


UNWRITABLE: list[Any] = [
    {1},
    object(),
    float("nan"),
    float("inf"),
    {"a": b"bytes"},
    {(1, 2): 3},
    deep(),
    circular(),
]


@pytest.mark.parametrize("data", ["\ud800", *UNWRITABLE], ids=lambda data: type(data).__name__)
async def test_what_no_message_can_carry_is_unpublishable_and_changes_nothing(
    rooms: Rooms, enter: Enter, data: Any
) -> None:
    guest = await enter()
    with pytest.raises(Unpublishable, match="must"):
        await rooms.publish("r", data)
    assert await guest.client.receives_nothing()
    assert (await rooms.publish("r", "next")).offset == 1


# History


async def test_history_gives_publications_as_they_were_made(rooms: Rooms, enter: Enter) -> None:
    guest = await enter()
    before = time.time()
    position = await rooms.publish("r", {"a": 1}, exclude=guest.member)
    [publication] = await rooms.history("r")
    assert before <= publication.time <= time.time()
    assert publication == Publication("r", '{"a":1}', publication.time, position, guest.member.id)


@pytest.mark.parametrize(
    ("settings", "heard"),
    [
        ({}, "abcde"),
        ({"limit": 2}, "ab"),
        ({"limit": 0}, ""),
        ({"limit": -1}, ""),
        ({"reverse": True}, "edcba"),
        ({"limit": 2, "reverse": True}, "ed"),
        ({"since": 3}, "de"),
        ({"since": 1, "limit": 2}, "bc"),
        ({"since": 1, "limit": 2, "reverse": True}, "ed"),
        ({"since": 5}, ""),
    ],
)
async def test_history_since_with_limit_and_reversed(rooms: Rooms, settings: dict[str, Any], heard: str) -> None:
    for letter in "abcde":
        position = await rooms.publish("r", letter)
    if "since" in settings:
        settings = {**settings, "since": Position(settings["since"], position.epoch)}
    assert "".join(str(publication.data) for publication in await rooms.history("r", **settings)) == heard


async def test_history_leaves_out_who_came_and_went(rooms: Rooms, enter: Enter) -> None:
    guest = await enter(encoder=notices)
    await rooms.publish("r", "hi")
    await guest.leave()
    assert [publication.data for publication in await rooms.history("r")] == ["hi"]


async def test_the_position_of_a_new_room_is_zero(rooms: Rooms) -> None:
    position = await rooms.position("r")
    assert position.offset == 0
    assert await rooms.publish("r", "hi") == Position(1, position.epoch)


# Who is there


async def test_members_are_told_with_their_info_in_the_order_of_their_joins(rooms: Rooms, enter: Enter) -> None:
    before = time.time()
    ada = await enter(info={"name": "Ada"}, user="ada")
    bob = await enter(info="Bob")
    assert await rooms.members("r") == [ada.member.presence, bob.member.presence]
    assert ada.member.presence.info == ada.member.info == {"name": "Ada"}
    assert (ada.member.user, bob.member.user) == ("ada", None)
    assert before <= ada.member.presence.since <= time.time()
    assert ada.member.id != bob.member.id


async def test_members_count_and_active_rooms_follow_joins_and_leaves(rooms: Rooms, enter: Enter) -> None:
    assert (await rooms.members("r"), await rooms.count("r"), await rooms.active()) == ([], 0, {})
    first, second, elsewhere = await enter("r"), await enter("r"), await enter("other")
    assert await rooms.count("r") == 2
    assert await rooms.active() == {"r": 2, "other": 1}
    await first.leave()
    await elsewhere.leave()
    assert await rooms.active() == {"r": 1}
    await second.leave()
    assert (await rooms.members("r"), await rooms.count("r"), await rooms.active()) == ([], 0, {})


async def test_ids_are_unique_among_rooms_of_several_nodes() -> None:
    async with Rooms("memory://") as one, Rooms("memory://") as other:
        guests = [await Guest(rooms, "r").enter() for rooms in (one, other, one, other)]
        assert len({guest.member.id for guest in guests}) == 4
        for guest in guests:
            await guest.leave()


async def test_the_info_is_what_the_others_see_even_if_the_app_changes_its_own(rooms: Rooms, enter: Enter) -> None:
    info: dict[str, Any] = {"name": "Ada", "tags": ("a", "b")}
    ada, bob = await enter(info=info), await enter(encoder=notices)
    info["name"] = {1, 2}
    assert ada.member.info == {"name": "Ada", "tags": ["a", "b"]}
    assert (await rooms.members("r"))[0].info == ada.member.info
    await ada.leave()
    assert await bob.hears(1) == ["-{'name': 'Ada', 'tags': ['a', 'b']}"]


@pytest.mark.parametrize("info", UNWRITABLE, ids=lambda info: type(info).__name__)
async def test_an_info_that_json_cannot_carry_is_refused_before_the_connection_is_accepted(
    rooms: Rooms, info: Any
) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(Unpublishable, match="info must be something that JSON can carry"):
            async with rooms.join("r", ws, info=info):
                pytest.fail("it has joined")
        assert not ws.accepted
        await ws.reject()

    client = await connect(app(handler)).open()
    await client.finished()
    assert not rooms._connections


# Notices


async def test_the_others_are_told_once_who_comes_and_goes(enter: Enter) -> None:
    first = await enter(info="a", encoder=notices)
    second = await enter(info="b", encoder=notices)
    assert await first.hears(1) == ["+b"]
    third = await enter(info="c", encoder=notices)
    assert await first.hears(1) == await second.hears(1) == ["+c"]
    await third.leave()
    assert await first.hears(1) == await second.hears(1) == ["-c"]
    await second.leave()
    assert await first.hears(1) == ["-b"]
    assert await first.client.receives_nothing()


async def test_who_joins_is_not_told_of_itself(enter: Enter) -> None:
    guest = await enter(info="a", encoder=notices)
    assert await guest.client.receives_nothing()


async def test_what_a_member_says_last_comes_before_the_notice_that_it_left(rooms: Rooms, enter: Enter) -> None:
    listener = await enter(encoder=notices)

    async def handler(ws: WebSocket) -> None:
        async with rooms.join("r", ws, info="a"):
            await rooms.publish("r", "bye")

    client = await connect(app(handler)).open()
    await client.finished()
    assert await listener.hears(3) == ["+a", "bye", "-a"]


# Joining


async def test_joining_accepts_the_connection_with_a_subprotocol(rooms: Rooms) -> None:
    async def handler(ws: WebSocket) -> None:
        async with rooms.join("r", ws, subprotocol="v1") as member:
            assert member.receive is not None

    client = await connect(app(handler), subprotocols=["v1"]).open()
    assert client.accepted
    assert client.subprotocol == "v1"
    await client.finished()


async def test_a_connection_that_is_accepted_already_is_not_accepted_again(rooms: Rooms) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept("v2")
        async with rooms.join("r", ws, subprotocol="v1"):
            await rooms.publish("r", "hi")

    client = await connect(app(handler), subprotocols=["v1", "v2"]).open()
    assert client.subprotocol == "v2"
    assert await client.receive() == "hi"
    await client.finished()


async def test_a_subprotocol_that_was_not_offered_leaves_no_trace_and_can_be_answered(
    rooms: Rooms, enter: Enter
) -> None:
    listener = await enter(encoder=notices)

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(InvalidHandshake):
            async with rooms.join("r", ws, subprotocol="v1"):
                pytest.fail("it has joined")
        assert await rooms.count("r") == 1
        await ws.reject(status=400)

    client = await connect(app(handler)).open()
    assert client.denial_status == 400
    await client.finished()
    assert await listener.client.receives_nothing()


@pytest.mark.parametrize("room", ["", "x" * 256, None, 5, b"r", "\ud800", ["r"], "\x00", "a\nb", "\x01user:ada"])
async def test_a_name_that_is_none_is_refused_wherever_a_room_is_named(rooms: Rooms, room: Any) -> None:
    server = connect(app(lambda _ws: asyncio.sleep(0)))
    for call in (rooms.publish(room, "hi"), rooms.history(room), rooms.position(room), rooms.members(room)):
        with pytest.raises(InvalidRoomName, match="a room's name"):
            await call
    with pytest.raises(InvalidRoomName):
        await rooms.count(room)
    with pytest.raises(InvalidRoomName):
        async with rooms.join(room, WebSocket(server.scope, asyncio.Queue[Any]().get, server._take)):
            pytest.fail("it has joined")
    await server.finished()


@pytest.mark.parametrize("room", ["x" * 255, " ", "a/b", "🎉" * 255, "\xa0"])
async def test_every_other_str_is_a_name(rooms: Rooms, enter: Enter, room: str) -> None:
    guest = await enter(room)
    await rooms.publish(room, "hi")
    assert await guest.hears(1) == ["hi"]
    assert await rooms.active() == {room: 1}


async def test_a_connection_in_a_room_cannot_join_it_again_and_stays_in_it(rooms: Rooms, enter: Enter) -> None:
    listener = await enter(encoder=notices)

    async def handler(ws: WebSocket) -> None:
        async with rooms.join("r", ws, info="a"):
            with pytest.raises(AlreadyJoined, match="this connection is in room 'r' already"):
                async with rooms.join("r", ws):
                    pytest.fail("it has joined twice")
            with pytest.raises(AlreadyJoined):
                async with rooms.join("r", ws.asgi):
                    pytest.fail("it has joined twice")
            await rooms.publish("r", "still here")
            assert await rooms.count("r") == 2

    client = await connect(app(handler)).open()
    assert await client.receive() == "still here"
    await client.finished()
    assert await listener.hears(3) == ["+a", "still here", "-a"]


async def test_a_connection_can_join_a_room_again_after_it_left(rooms: Rooms, enter: Enter) -> None:
    listener = await enter(encoder=notices)

    async def handler(ws: WebSocket) -> None:
        for number in range(2):
            async with rooms.join("r", ws, info=number):
                await rooms.publish("r", f"visit {number}")

    client = await connect(app(handler)).open()
    assert [await client.receive(), await client.receive()] == ["visit 0", "visit 1"]
    await client.finished()
    assert await listener.hears(6) == ["+0", "visit 0", "-0", "+1", "visit 1", "-1"]


async def test_a_connection_may_be_in_many_rooms_through_one_outlet(rooms: Rooms) -> None:
    async def handler(ws: WebSocket) -> None:
        async with contextlib.AsyncExitStack() as stack:
            members = [await stack.enter_async_context(rooms.join(room, ws)) for room in "abc"]
            assert len({id(member.connection.outlet) for member in members}) == 1
            assert await rooms.active() == {"a": 1, "b": 1, "c": 1}
            async for message in members[0]:
                await rooms.publish(str(message), f"to {message!r}")
        assert await rooms.active() == {}

    async with connect(app(handler)) as client:
        for room in "cab":
            await client.send(room)
            assert await client.receive() == f"to {room!r}"
    assert not rooms._connections


async def test_one_connection_sees_all_its_rooms_in_the_order_of_the_publishing(rooms: Rooms) -> None:
    async def handler(ws: WebSocket) -> None:
        async with rooms.join("a", ws), rooms.join("b", ws) as member:
            async for _ in member:
                for number in range(10):
                    await rooms.publish("ab"[number % 2], str(number))

    async with connect(app(handler)) as client:
        await client.send("go")
        assert [await client.receive() for _ in range(10)] == [str(number) for number in range(10)]


async def test_leaving_one_of_several_rooms_leaves_the_others_alone(rooms: Rooms) -> None:
    async def handler(ws: WebSocket) -> None:
        async with rooms.join("a", ws) as member:
            async with rooms.join("b", ws):
                pass
            assert await rooms.active() == {"a": 1}
            assert not member.closed
            await rooms.publish("b", "not heard")
            await rooms.publish("a", "heard")

    client = await connect(app(handler)).open()
    assert await client.receive() == "heard"
    await client.finished()


async def test_joining_several_rooms_at_once_accepts_the_connection_once(rooms: Rooms) -> None:
    async def handler(ws: WebSocket) -> None:
        async def visit(room: str) -> None:
            async with rooms.join(room, ws) as member:
                async for _ in member:
                    pass

        await asyncio.gather(visit("a"), visit("b"))

    client = connect(app(handler))
    await settled()
    await client.open()
    await settled()
    assert await rooms.active() == {"a": 1, "b": 1}
    await rooms.publish("a", "one")
    await rooms.publish("b", "two")
    assert [await client.receive(), await client.receive()] == ["one", "two"]
    await rooms.__aexit__(None, None, None)
    await client.finished()


@pytest.mark.parametrize("broken", [None, 5, "ws", object(), (1, 2)])
async def test_joining_with_what_is_no_connection_says_what_would_be(rooms: Rooms, broken: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a roomcast\.WebSocket, a Starlette, .*, not "):
        async with rooms.join("r", broken):
            pytest.fail("it has joined")


@pytest.mark.parametrize("encoder", ["json", 5, type("Unhashable", (list,), {"__call__": print})()])
async def test_what_cannot_be_an_encoder_is_refused_before_it_can_harm_a_room(
    rooms: Rooms, enter: Enter, encoder: Any
) -> None:
    listener = await enter(encoder=notices)

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(ConfigurationError, match="an encoder is a function that takes a room event"):
            async with rooms.join("r", ws, encoder=encoder):
                pytest.fail("it has joined")
        await ws.reject()

    client = await connect(app(handler)).open()
    await client.finished()
    with pytest.raises(ConfigurationError):
        Rooms("memory://", encoder=encoder)
    assert await listener.client.receives_nothing()


# Bounds


async def test_a_connection_may_be_in_so_many_rooms() -> None:
    async with Rooms("memory://", rooms_per_connection=2) as rooms:

        async def handler(ws: WebSocket) -> None:
            async with rooms.join("a", ws), rooms.join("b", ws):
                with pytest.raises(LimitReached, match="a connection may be in 2 rooms"):
                    async with rooms.join("c", ws):
                        pytest.fail("it has joined")
                assert await rooms.active() == {"a": 1, "b": 1}
            async with rooms.join("c", ws):
                assert await rooms.active() == {"c": 1}

        client = await connect(app(handler)).open()
        await client.finished()


async def test_a_full_room_is_refused_before_the_connection_is_accepted() -> None:
    async with Rooms("memory://", members_per_room=2) as rooms:
        guests = [await Guest(rooms, "r", encoder=notices).enter() for _ in range(2)]
        assert await guests[0].hears(1) == ["+None"]

        async def handler(ws: WebSocket) -> None:
            with pytest.raises(LimitReached, match="the room is full: it may have 2 members here"):
                async with rooms.join("r", ws):
                    pytest.fail("it has joined")
            await ws.reject(4029, "full", status=503)

        client = await connect(app(handler)).open()
        assert client.denial_status == 503
        await client.finished()
        assert await rooms.count("r") == 2
        assert await guests[0].client.receives_nothing()
        await guests[0].leave()
        replacement = await Guest(rooms, "r").enter()
        for guest in (guests[1], replacement):
            await guest.leave()


# Leaving


async def test_a_disconnect_ends_the_loop_and_the_stay(rooms: Rooms, enter: Enter) -> None:
    listener, guest = await enter(encoder=notices), await enter(info="a")
    assert await listener.hears(1) == ["+a"]
    await guest.client.disconnect(1001, "bye")
    assert guest.left.is_set()
    assert (guest.ws.close_code, guest.ws.close_reason) == (1001, "bye")
    assert await listener.hears(1) == ["-a"]
    assert await rooms.count("r") == 1


async def test_who_is_disconnected_is_out_of_the_room_while_the_handler_is_still_busy(
    rooms: Rooms, enter: Enter
) -> None:
    listener, guest = await enter(encoder=notices), await enter(info="a")
    guest.may_leave.clear()
    leaving = asyncio.ensure_future(guest.client.disconnect())
    assert await listener.hears(2) == ["+a", "-a"]
    assert not guest.left.is_set()
    assert await rooms.count("r") == 1
    guest.may_leave.set()
    await leaving
    assert await listener.client.receives_nothing()


async def test_leaving_the_block_leaves_the_room_and_the_connection_open(rooms: Rooms, enter: Enter) -> None:
    listener = await enter(encoder=notices)

    async def handler(ws: WebSocket) -> None:
        async with rooms.join("r", ws, info="a") as member:
            pass
        assert await rooms.count("r") == 1
        assert member.closed
        assert not member.send("not any more")
        await ws.send("still open")
        assert await ws.receive() == "indeed"

    client = await connect(app(handler)).open()
    assert await client.receive() == "still open"
    await client.send("indeed")
    await client.finished()
    assert await listener.hears(2) == ["+a", "-a"]


async def test_an_error_of_the_handler_goes_on_and_the_member_leaves(rooms: Rooms, enter: Enter) -> None:
    listener = await enter(encoder=notices)

    async def handler(ws: WebSocket) -> None:
        async with rooms.join("r", ws, info="a"):
            raise ZeroDivisionError

    client = await connect(app(handler)).open()
    with pytest.raises(ZeroDivisionError):
        await client.finished()
    assert await listener.hears(2) == ["+a", "-a"]
    assert await rooms.count("r") == 1


async def test_a_cancelled_handler_leaves_and_stays_cancelled(rooms: Rooms, enter: Enter) -> None:
    listener, guest = await enter(encoder=notices), await enter(info="a")
    guest.task.cancel()
    await asyncio.wait([guest.task])
    assert guest.task.cancelled()
    assert guest.left.is_set()
    assert not guest.ended.is_set()
    assert await listener.hears(2) == ["+a", "-a"]
    assert await rooms.count("r") == 1


async def test_a_handler_that_is_cancelled_twice_still_leaves(rooms: Rooms, enter: Enter) -> None:
    listener, guest = await enter(encoder=notices), await enter(info="a")
    guest.task.cancel()
    await asyncio.sleep(0)
    guest.task.cancel()
    await asyncio.wait([guest.task])
    assert guest.task.cancelled()
    assert await listener.hears(2) == ["+a", "-a"]
    assert len(rooms._connections) == 1


async def test_closing_a_member_ends_its_loop_and_tells_its_peer(enter: Enter) -> None:
    listener, guest = await enter(encoder=notices), await enter(info="a")
    guest.member.close(4003, "banned")
    assert await guest.client.closed() == 4003
    assert guest.client.close_reason == "banned"
    await guest.client.finished()
    assert guest.ended.is_set()
    assert (guest.ws.close_code, guest.ws.close_reason) == (4003, "banned")
    assert await listener.hears(2) == ["+a", "-a"]
    assert await listener.client.receives_nothing()


async def test_joining_when_the_client_has_gone_is_disconnected_and_leaves_no_trace(
    rooms: Rooms, enter: Enter
) -> None:
    listener = await enter(encoder=notices)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.disconnect", "code": 1001}

    async def send(_event: object) -> None:
        raise OSError

    scope = {"type": "websocket", "path": "/", "headers": []}
    with pytest.raises(Disconnected) as caught:
        async with rooms.join("r", (scope, receive, send)):
            pytest.fail("it has joined")
    assert caught.value.code == 1001
    assert await rooms.count("r") == 1
    assert len(rooms._connections) == 1
    assert await listener.client.receives_nothing()


async def test_another_room_cannot_be_joined_by_a_connection_that_was_lost(rooms: Rooms) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        if event["type"] == "websocket.send":
            raise OSError("gone")

    ws = WebSocket({"type": "websocket", "path": "/", "headers": []}, receive, send)
    async with rooms.join("a", ws) as member:
        member.send("into the void")
        await until(lambda: member.closed)
        with pytest.raises(Disconnected):
            async with rooms.join("b", ws):
                pytest.fail("it has joined")
        await settled()
        assert await rooms.active() == {}


async def test_another_room_cannot_be_joined_by_a_connection_that_was_closed(rooms: Rooms) -> None:
    async def handler(ws: WebSocket) -> None:
        async with rooms.join("a", ws) as member:
            member.close(4000, "enough")
            with pytest.raises(Disconnected, match=r"4000 \(enough\)"):
                async with rooms.join("b", ws):
                    pytest.fail("it has joined")

    client = await connect(app(handler)).open()
    assert await client.closed() == 4000
    await client.finished()


# Open and closed rooms


def calls(rooms: Rooms) -> list[Callable[[], Awaitable[Any]]]:
    async def join() -> None:
        async with rooms.join("r", object()):
            pytest.fail("it has joined")

    return [
        join,
        lambda: rooms.publish("r", "hi"),
        lambda: rooms.history("r"),
        lambda: rooms.position("r"),
        lambda: rooms.members("r"),
        lambda: rooms.count("r"),
        rooms.active,
    ]


async def test_rooms_do_nothing_before_they_are_opened_and_after_they_are_closed() -> None:
    rooms = Rooms("memory://")
    for _ in range(2):
        for call in calls(rooms):
            with pytest.raises(RoomsClosed, match="the rooms are not open: enter `async with rooms:`"):
                await call()
        async with rooms:
            await rooms.publish("r", "hi")


async def test_open_rooms_cannot_be_opened_again(rooms: Rooms) -> None:
    with pytest.raises(RoomsClosed, match="open already"):
        await rooms.__aenter__()
    await rooms.publish("r", "hi")


async def test_rooms_can_be_opened_again_after_they_were_closed() -> None:
    rooms = Rooms("memory://")
    for _ in range(2):
        async with rooms:
            guest = await Guest(rooms, "r").enter()
            assert (await rooms.publish("r", "hi")).offset == 1
            assert await guest.hears(1) == ["hi"]
            await guest.leave()


async def test_a_broker_that_does_not_open_leaves_the_rooms_closed() -> None:
    class Broken(MemoryBroker):
        async def open(self, deliver: Any, retentions: Any = None, **_told: Any) -> None:  # noqa: ARG002
            raise ConnectionRefusedError(deliver)

    rooms = Rooms(Broken())
    with pytest.raises(ConnectionRefusedError):
        async with rooms:
            pytest.fail("it is open")
    with pytest.raises(RoomsClosed):
        await rooms.active()


async def test_rooms_in_memory_do_not_open_where_several_workers_serve_the_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms = Rooms("memory://")
    monkeypatch.setenv("ROOMCAST_WORKERS", "4")
    with pytest.raises(ConfigurationError, match="in one process, but 4 workers serve the app"):
        async with rooms:
            pytest.fail("it is open")
    monkeypatch.setenv("ROOMCAST_WORKERS", "1")
    async with rooms:
        assert await rooms.active() == {}


async def test_closing_the_rooms_ends_every_member_and_tells_every_peer_to_come_back() -> None:
    rooms = Rooms("memory://")
    async with rooms:
        guests = [await Guest(rooms, room).enter() for room in ("a", "a", "b")]
    for guest in guests:
        assert await guest.client.closed() == 1012
        await guest.client.finished()
        assert guest.ended.is_set()
    assert not rooms._connections


@pytest.mark.usefixtures("impatient")
async def test_closing_the_rooms_does_not_wait_for_a_peer_that_reads_nothing() -> None:
    async with Rooms("memory://") as rooms:
        guest = await Guest(rooms, "r").enter()
        guest.client.stall()
        await rooms.publish("r", "unread")
        await settled()
    await asyncio.wait_for(guest.left.wait(), 5)
    await guest.client.finished()


async def test_no_one_joins_while_the_rooms_close() -> None:
    """A broker that takes its time to see a member off leaves a moment in which another could come."""
    departing, may_depart = asyncio.Event(), asyncio.Event()

    class Slow(MemoryBroker):
        async def depart(self, room: str, member: str) -> None:
            departing.set()
            await may_depart.wait()
            await super().depart(room, member)

    rooms = Rooms(Slow())
    await rooms.__aenter__()
    guest = await Guest(rooms, "r").enter()
    closing = asyncio.ensure_future(rooms.__aexit__(None, None, None))
    await departing.wait()
    with pytest.raises(RoomsClosed):
        async with rooms.join("r", object()):
            pytest.fail("it has joined")
    may_depart.set()
    await closing
    await guest.client.finished()


async def test_a_publication_that_waits_for_its_turn_while_the_rooms_close_is_refused() -> None:
    broker = MemoryBroker()
    rooms = Rooms(broker, outbox_bytes=1000)
    await rooms.__aenter__()
    publishing = [asyncio.ensure_future(rooms.publish("r", "x" * 500)) for _ in range(10)]
    await asyncio.sleep(0)
    await rooms.__aexit__(None, None, None)
    results = await asyncio.gather(*publishing, return_exceptions=True)
    assert {type(result) for result in results} == {Position, RoomsClosed}
    assert broker._rooms == {}


async def test_closing_the_rooms_closes_the_broker_even_if_it_is_interrupted() -> None:
    departing = asyncio.Event()
    closed = asyncio.Event()

    class Stuck(MemoryBroker):
        async def depart(self, room: str, member: str) -> None:
            departing.set()
            await closed.wait()
            await super().depart(room, member)

        async def close(self) -> None:
            closed.set()
            await super().close()

    rooms = Rooms(Stuck())
    await rooms.__aenter__()
    guest = await Guest(rooms, "r").enter()
    closing = asyncio.ensure_future(rooms.__aexit__(None, None, None))
    await departing.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert closed.is_set()
    await guest.client.finished()


async def test_a_connection_whose_handshake_is_under_way_when_the_rooms_close_does_not_join() -> None:
    rooms = Rooms("memory://")
    await rooms.__aenter__()
    outcome: list[Exception] = []

    async def handler(ws: WebSocket) -> None:
        try:
            async with rooms.join("r", ws):
                pytest.fail("it has joined")
        except Disconnected as error:
            outcome.append(error)

    client = connect(app(handler))
    await until(lambda: rooms._connections)
    closing = asyncio.ensure_future(rooms.__aexit__(None, None, None))
    await settled()
    await client.open()
    assert (client.accepted, client.close_code) == (False, 1012)
    await closing
    await client.finished()
    assert str(outcome[0]) == "the connection is over: close code 1012 (the server restarts)"


# What is left when everybody has gone


async def test_nothing_is_left_of_rooms_that_are_empty() -> None:
    now = 0.0
    broker = MemoryBroker(lambda: now)
    async with Rooms(broker, linger=0) as rooms:
        for _ in range(3):
            guests = [await Guest(rooms, f"room {number % 5}").enter() for number in range(20)]
            for guest in guests:
                await rooms.publish(guest.member.room, "hi", key=guest.member.id)
            for guest in guests:
                await guest.leave()
        assert not rooms._connections
        assert rooms._node.membership._rooms == {}
        await until(lambda: not rooms._node.subscriptions._rooms)
        assert not rooms._node.farewells
        assert broker._subscribed == set()
        assert len(broker._rooms) == 5
        now += MemoryBroker.retention.age + SWEEP_INTERVAL
        await rooms.position("another")
        assert set(broker._rooms) == {"another"}


# Frameworks


async def serve_starlette(rooms: Rooms, ws: StarletteWebSocket) -> None:
    async with rooms.join("r", ws) as member:
        async for message in member:
            await rooms.publish("r", message)


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_starlette_websocket_joins_accepted_or_not(accepts: bool) -> None:
    rooms = Rooms("memory://")

    async def endpoint(ws: StarletteWebSocket) -> None:
        if accepts:
            await ws.accept()
        await serve_starlette(rooms, ws)

    application = Starlette(routes=[WebSocketRoute("/ws", endpoint)], lifespan=rooms.lifespan)
    async with lifespan(application), connect(application, "/ws") as one, connect(application, "/ws") as other:
        await one.send("hi")
        assert [await one.receive(), await other.receive()] == ["hi", "hi"]


async def test_a_fastapi_websocket_joins_rooms_that_its_lifespan_opened() -> None:
    rooms = Rooms("memory://")
    application = FastAPI(lifespan=rooms.lifespan)

    @application.websocket("/ws/{room}")
    async def endpoint(ws: FastAPIWebSocket, room: str) -> None:
        async with rooms.join(room, ws) as member:
            await ws.send_text(f"welcome to {room}")
            async for message in member:
                await rooms.publish(room, message, exclude=member)

    async with lifespan(application), connect(application, "/ws/a") as one, connect(application, "/ws/a") as other:
        assert await one.receive() == await other.receive() == "welcome to a"
        await one.send("hi")
        assert await other.receive() == "hi"
        assert await one.receives_nothing()


async def test_a_starlette_handler_may_receive_by_itself(rooms: Rooms, enter: Enter) -> None:
    listener = await enter(encoder=notices)
    ended: list[int] = []

    async def endpoint(ws: StarletteWebSocket) -> None:
        async with rooms.join("r", ws, info="a"):
            try:
                while True:
                    await rooms.publish("r", await ws.receive_text())
            except WebSocketDisconnect as error:
                ended.append(error.code)

    application = Starlette(routes=[WebSocketRoute("/", endpoint)])
    client = await connect(application).open()
    await client.send("hi")
    assert await client.receive() == "hi"
    await client.disconnect(1001)
    assert ended == [1001]
    assert await listener.hears(3) == ["+a", "hi", "-a"]


async def test_a_starlette_websocket_that_is_over_is_disconnected(rooms: Rooms) -> None:
    async def endpoint(ws: StarletteWebSocket) -> None:
        await ws.accept()
        with pytest.raises(WebSocketDisconnect):
            await ws.receive_text()
        with pytest.raises(Disconnected):
            async with rooms.join("r", ws):
                pytest.fail("it has joined")

    client = await connect(Starlette(routes=[WebSocketRoute("/", endpoint)])).open()
    await client.disconnect()
    assert not rooms._connections


async def test_a_starlette_websocket_is_closed_by_its_outlet_once(rooms: Rooms) -> None:
    async def endpoint(ws: StarletteWebSocket) -> None:
        async with rooms.join("r", ws) as member:
            member.close(4000, "enough")
            async for _ in member:
                pytest.fail("it is closed")

    client = await connect(Starlette(routes=[WebSocketRoute("/", endpoint)])).open()
    assert await client.closed() == 4000
    await client.finished()


async def test_a_raw_asgi_app_joins_with_scope_receive_and_send(rooms: Rooms) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async with rooms.join("a", (scope, receive, send)) as member, rooms.join("b", (scope, receive, send)):
            async for message in member:
                await rooms.publish("b", message)

    async with connect(application) as client:
        await client.send(b"\x00")
        assert await client.receive() == b"\x00"


async def test_presence_ids_do_not_tell_anything_of_the_connection(rooms: Rooms, enter: Enter) -> None:
    guest = await enter()
    [presence] = await rooms.members("r")
    assert presence == Presence(guest.member.id, None, None, presence.since)
    assert guest.member.id.isascii()
    assert len(guest.member.id) < 64
