"""Receiving for a handler that is busy: the end is seen, nothing is lost or out of order, and little is ahead."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roomcast import Disconnected, Rooms, WebSocket
from roomcast.rooms import reading as module
from roomcast.rooms.reading import BYTES_AHEAD, MESSAGES_AHEAD, Reading, read_ahead
from roomcast.testing import connect
from tests.rooms.guests import DEADLINE, notices, settled, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Message, Receive, Scope, Send

    from tests.rooms.conftest import Enter


class Source:
    """A server's receive, which notes how often it was called and is called by one at a time."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Message] = asyncio.Queue()
        self.taken = 0
        self.receiving = 0

    async def receive(self) -> Message:
        assert not self.receiving, "nobody receives beside somebody else"
        self.receiving += 1
        try:
            event = await self.events.get()
        finally:
            self.receiving -= 1
        self.taken += 1
        return event

    def say(self, *texts: str) -> None:
        for text in texts:
            self.events.put_nowait({"type": "websocket.receive", "text": text})

    def go(self, code: int = 1001) -> None:
        self.events.put_nowait({"type": "websocket.disconnect", "code": code, "reason": "bye"})


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Miss a handler after a moment that a test can wait for."""
    monkeypatch.setattr(module, "ABSENCE", 0.001)
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 0.1)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def ends() -> list[tuple[int, str]]:
    return []


@pytest.fixture
async def reading(source: Source, ends: list[tuple[int, str]]) -> AsyncIterator[Reading]:
    reading = Reading(source.receive)
    reading.watch(lambda code, reason: ends.append((code, reason)))
    yield reading
    reading.unwatch()


async def texts(reading: Reading, count: int) -> str:
    async with asyncio.timeout(DEADLINE):
        return "".join([(await reading.receive())["text"] for _ in range(count)])


async def test_the_end_of_a_handler_that_never_receives_is_seen(
    source: Source, ends: list[tuple[int, str]], reading: Reading
) -> None:
    source.go()
    await until(lambda: ends == [(1001, "bye")])
    for _ in range(3):
        await settled()
    assert ends == [(1001, "bye")]
    assert (await reading.receive())["code"] == 1001


@pytest.mark.usefixtures("reading")
async def test_the_end_is_seen_behind_messages_that_are_never_taken(
    source: Source, ends: list[tuple[int, str]]
) -> None:
    source.say(*"abc")
    source.go()
    await until(lambda: ends)


async def test_no_more_is_read_ahead_than_the_bound(
    source: Source, ends: list[tuple[int, str]], reading: Reading
) -> None:
    source.say(*"x" * 100)
    source.go()
    await until(lambda: source.taken == MESSAGES_AHEAD)
    await asyncio.sleep(0.01)
    assert source.taken == MESSAGES_AHEAD
    assert ends == []
    assert await texts(reading, 1) == "x"
    await until(lambda: source.taken == MESSAGES_AHEAD + 1)
    assert await texts(reading, 99) == "x" * 99
    assert (await reading.receive())["type"] == "websocket.disconnect"


@pytest.mark.usefixtures("reading")
async def test_no_more_bytes_are_read_ahead_than_the_bound(source: Source) -> None:
    source.say("x" * (BYTES_AHEAD - 1), "x" * 1000, "y", "z")
    await until(lambda: source.taken == 2)
    await asyncio.sleep(0.01)
    assert source.taken == 2


@pytest.mark.parametrize("pauses", [0, 1, 2, 3])
async def test_order_is_kept_whoever_receives(source: Source, reading: Reading, pauses: int) -> None:
    heard = ""

    async def speak() -> None:
        for number in range(100):
            source.say(chr(number + 33))
            if number % 7 == 0:
                await asyncio.sleep(0.001)

    speaking = asyncio.ensure_future(speak())
    while len(heard) < 100:
        heard += await texts(reading, 1)
        for _ in range(pauses):
            await asyncio.sleep(0.0007)
    await speaking
    assert heard == "".join(chr(number + 33) for number in range(100))


async def test_a_handler_that_receives_all_the_time_is_never_read_for(source: Source, reading: Reading) -> None:
    for _ in range(50):
        receiving = asyncio.ensure_future(reading.receive())
        await asyncio.sleep(0.0005)
        assert reading._reader is None
        source.say("x")
        assert (await receiving)["text"] == "x"


async def test_a_handler_that_comes_back_while_it_is_read_for_gets_what_comes(
    source: Source, reading: Reading
) -> None:
    await until(lambda: source.receiving)
    receiving = asyncio.ensure_future(reading.receive())
    await settled()
    source.say("a", "b")
    assert (await receiving)["text"] == "a"
    assert await texts(reading, 1) == "b"


async def test_a_handler_that_gives_up_while_it_is_read_for_loses_nothing(
    source: Source, reading: Reading
) -> None:
    await until(lambda: source.receiving)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reading.receive(), 0.005)
    source.say("a")
    assert await texts(reading, 1) == "a"


async def test_what_came_before_the_end_is_answered_before_the_end(
    source: Source, ends: list[tuple[int, str]], reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 3600)
    source.say("a", "b")
    source.go()
    assert await texts(reading, 1) == "a"
    await until(lambda: source.taken == 3)
    assert await texts(reading, 1) == "b"
    await asyncio.sleep(0.005)
    assert ends == []
    assert (await reading.receive())["type"] == "websocket.disconnect"
    assert ends == [(1001, "bye")]


async def test_a_handler_that_takes_too_long_to_answer_is_not_waited_for(
    source: Source, ends: list[tuple[int, str]], reading: Reading
) -> None:
    source.say("a", "b")
    source.go()
    assert await texts(reading, 1) == "a"
    await until(lambda: ends)
    assert await texts(reading, 1) == "b"


@pytest.mark.parametrize("is_read_for", [True, False])
async def test_an_interruption_ends_who_receives_and_who_will(
    source: Source, ends: list[tuple[int, str]], reading: Reading, is_read_for: bool
) -> None:
    if is_read_for:
        await until(lambda: source.receiving)
    receiving = asyncio.ensure_future(reading.receive())
    await settled()
    reading.interrupt(4020, "too slow")
    source.say("unread")
    end = {"type": "websocket.disconnect", "code": 4020, "reason": "too slow"}
    assert await receiving == await reading.receive() == end
    await until(lambda: reading._reader is None)
    assert ends in ([], [(4020, "too slow")])


async def test_what_was_read_is_kept_when_nobody_watches_any_more(source: Source, reading: Reading) -> None:
    source.say("a", "b")
    await until(lambda: source.taken == 2)
    reading.unwatch()
    await until(lambda: not source.receiving)
    source.say("c")
    assert await texts(reading, 3) == "abc"


async def test_a_server_that_has_nothing_to_give_is_asked_no_more(ends: list[tuple[int, str]]) -> None:
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        raise RuntimeError("another coroutine is waiting for the next event")

    reading = Reading(receive)
    reading.watch(lambda code, reason: ends.append((code, reason)))
    await until(lambda: asked)
    await asyncio.sleep(0.005)
    assert (asked, ends) == (1, [])


# Around an app


async def test_the_end_of_the_app_is_the_end_of_its_connection(ends: list[tuple[int, str]]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[module.READING].watch(lambda code, reason: ends.append((code, reason)))
        await receive()
        await send({"type": "websocket.accept"})
        assert scope[module.READING].accepted
        raise ZeroDivisionError

    client = await connect(read_ahead(app)).open()
    with pytest.raises(ZeroDivisionError):
        await client.finished()
    assert ends == [(1006, "")]


async def test_one_who_enters_and_never_leaves_is_out_when_its_app_has_returned(
    rooms: Rooms, enter: Enter
) -> None:
    listener = await enter(encoder=notices)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await rooms.enter("r", (scope, receive, send), info="a")

    client = await connect(rooms.wrap(app)).open()
    await client.finished()
    assert await listener.hears(2) == ["+a", "-a"]
    assert await rooms.count("r") == 1


async def test_a_message_that_was_read_ahead_is_there_after_the_room_was_left(rooms: Rooms) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ws = WebSocket(scope, receive, send)
        async with rooms.join("r", ws):
            await until(lambda: scope[module.READING].has_more)
        assert await ws.receive() == "not lost"
        async with rooms.join("other", ws) as member:
            assert await member.receive() == "nor this"
            with pytest.raises(Disconnected):
                await member.receive()

    client = await connect(app).open()
    await client.send("not lost")
    await client.send("nor this")
    await client.disconnect()


async def test_what_is_handed_over_twice_is_read_in_order(rooms: Rooms) -> None:
    """Of plain callables, a second join finds what the first has read ahead."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with rooms.join("r", (scope, receive, send)):
            await until(lambda: scope[module.READING].has_more)
        async with rooms.join("r", (scope, receive, send)) as member:
            assert [await member.receive() for _ in "abc"] == ["a", "b", "c"]

    client = await connect(app).open()
    for text in "abc":
        await client.send(text)
    await client.finished()
