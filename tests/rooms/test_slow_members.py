"""A member that does not read harms nobody: not those beside it, not the publisher, and not the memory."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import CloseCode, Rooms, WebSocket
from roomcast.rooms.outlet import OUTBOX_BYTES
from roomcast.testing import connect
from tests.rooms.guests import Guest, notices, settled, until

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tests.rooms.conftest import Enter

pytestmark = pytest.mark.usefixtures("impatient")

KILOBYTE = "x" * 1000


def test_an_outbox_holds_one_mebibyte_unless_told_otherwise() -> None:
    assert OUTBOX_BYTES == 1 << 20


async def test_a_member_that_reads_nothing_delays_nobody_and_is_closed_at_its_bound(
    rooms: Rooms, enter: Enter
) -> None:
    listener = await enter(encoder=notices)
    slow = await enter(info="slow")
    assert await listener.hears(1) == ["+slow"]
    slow.client.stall()
    published = 0
    while not slow.member.closed:
        await rooms.publish("r", KILOBYTE)
        published += 1
        if not slow.member.closed:
            assert await listener.hears(1) == [KILOBYTE]
        assert published * 1000 <= OUTBOX_BYTES
    assert published * 1000 >= OUTBOX_BYTES * 0.8
    assert sorted(map(str, await listener.hears(2))) == ["-slow", KILOBYTE]
    await rooms.publish("r", "on it goes")
    assert await listener.hears(1) == ["on it goes"]
    assert await listener.client.receives_nothing()


async def test_the_handler_of_a_slow_member_ends_though_its_peer_never_answers(rooms: Rooms, enter: Enter) -> None:
    slow = await enter()
    slow.client.stall()
    while not slow.member.closed:
        await rooms.publish("r", KILOBYTE)
    await slow.ended.wait()
    assert slow.ws.close_code == CloseCode.TOO_SLOW
    assert slow.ws.close_reason == "too slow: 1048576 bytes are waiting; come back and resume"
    await slow.left.wait()
    assert not rooms._connections


async def test_a_slow_member_that_reads_again_in_time_is_told_to_come_back(
    rooms: Rooms, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomcast.rooms.outlet.CLOSE_TIMEOUT", 5.0)
    slow = await enter()
    slow.client.stall()
    while not slow.member.closed:
        await rooms.publish("r", KILOBYTE)
    slow.client.resume()
    assert await slow.client.closed() == CloseCode.TOO_SLOW
    assert slow.client.close_reason.endswith("come back and resume")


async def test_a_member_that_reads_before_its_bound_has_missed_nothing(rooms: Rooms, enter: Enter) -> None:
    guest = await enter()
    guest.client.stall()
    for number in range(500):
        await rooms.publish("r", f"{number} {KILOBYTE}")
    assert guest.member.stats.queued_bytes > 500_000
    guest.client.resume()
    assert [str(message).split()[0] for message in await guest.hears(500)] == [
        str(number) for number in range(500)
    ]
    await until(lambda: guest.member.stats == (0, 500, 0))


async def test_a_slow_member_that_comes_back_gets_what_it_missed(rooms: Rooms, enter: Enter) -> None:
    slow = await enter()
    slow.client.stall()
    since = await rooms.publish("r", "the last that it knows")
    offsets: list[int] = []
    while not slow.member.closed:
        offsets.append((await rooms.publish("r", b"x" * 10_000)).offset)
    await slow.left.wait()
    again = await enter(since=since, encoder=lambda event: str(event.position.offset))
    assert again.member.recovered
    assert await again.hears(len(offsets)) == [str(offset) for offset in offsets]


async def test_a_slow_connection_leaves_all_its_rooms_at_once(rooms: Rooms, enter: Enter) -> None:
    listeners = [await enter(room, encoder=notices) for room in "ab"]
    slow = await enter("a", info="slow")
    async with rooms.join("b", slow.ws, info="slow"):
        for listener in listeners:
            assert await listener.hears(1) == ["+slow"]
        slow.client.stall()
        while not slow.member.closed:
            await rooms.publish("a", KILOBYTE, exclude=listeners[0].member)
        for listener in listeners:
            assert await listener.hears(1) == ["-slow"]
        assert await rooms.active() == {"a": 1, "b": 1}


async def test_a_burst_closes_no_member_that_reads(rooms: Rooms, enter: Enter) -> None:
    """Publishing in a loop gives the members' writers their turn, though this broker itself never waits."""
    guests = [await enter() for _ in range(3)]
    for number in range(300):
        await rooms.publish("r", f"{number} {KILOBYTE * 10}")
    for guest in guests:
        heard = [str(message).split()[0] for message in await guest.hears(300)]
        assert heard == [str(number) for number in range(300)]
        assert not guest.member.closed


async def test_many_who_publish_at_the_same_moment_close_nobody_that_reads(rooms: Rooms, enter: Enter) -> None:
    guests = [await enter() for _ in range(3)]
    async with asyncio.TaskGroup() as tasks:
        for number in range(3000):
            tasks.create_task(rooms.publish("r", f"{number} {KILOBYTE}"))
    for guest in guests:
        heard = [int(str(message).split()[0]) for message in await guest.hears(3000)]
        assert sorted(heard) == list(range(3000))
        assert not guest.member.closed


async def test_many_who_publish_much_at_the_same_moment_close_nobody_that_reads(
    rooms: Rooms, enter: Enter
) -> None:
    guest = await enter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(rooms.publish("r", "x" * 700_000))
    assert len(await guest.hears(10)) == 10
    assert not guest.member.closed


async def test_many_who_come_and_go_at_the_same_moment_close_nobody_that_reads() -> None:
    async with Rooms("memory://", encoder=notices, outbox_bytes=20_000) as rooms:
        listener = await Guest(rooms, "r").enter()
        guests = [Guest(rooms, "r", info=number, encoder=lambda _event: None) for number in range(300)]
        for guest in guests:
            guest.client._to_app.put_nowait({"type": "websocket.connect"})
        assert sorted(map(str, await listener.hears(300))) == sorted(f"+{number}" for number in range(300))
        for guest in guests:
            guest.client._to_app.put_nowait({"type": "websocket.disconnect"})
        assert sorted(map(str, await listener.hears(300))) == sorted(f"-{number}" for number in range(300))
        assert not listener.member.closed
        for guest in (*guests, listener):
            await guest.leave()


async def test_a_burst_of_one_member_closes_nobody_that_reads(rooms: Rooms, enter: Enter) -> None:
    listener = await enter()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async with rooms.join("r", WebSocket(scope, receive, send)) as member:
            async for message in member:
                await rooms.publish("r", message, exclude=member)

    async with connect(application) as client:
        for number in range(5000):
            await client.send(f"{number} {KILOBYTE}")
        heard = [str(message).split()[0] for message in await listener.hears(5000)]
        assert heard == [str(number) for number in range(5000)]


async def test_a_message_bigger_than_an_outbox_reaches_who_reads(rooms: Rooms, enter: Enter) -> None:
    guest = await enter()
    for _ in range(3):
        await rooms.publish("r", bytes(3 * OUTBOX_BYTES))
    assert [len(message) for message in await guest.hears(3)] == [3 * OUTBOX_BYTES] * 3
    assert not guest.member.closed


@pytest.mark.parametrize("data", ["", b"", "x", "x" * 10_000])
async def test_what_waits_for_a_stalled_member_is_bounded_in_memory(data: Any) -> None:
    async with Rooms("memory://", outbox_bytes=100_000) as rooms:
        slow = await Guest(rooms, "r").enter()
        slow.client.stall()
        await rooms.publish("r", "blocked")
        await settled()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(2000):
                part = data if len(data) < 2 else f"{number:06}{data}"
                await rooms.publish("r", part, keep=False)
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert slow.member.closed
        assert after - before < 100_000
        assert peak - before < 1_000_000
        await slow.left.wait()


async def test_outboxes_hold_what_the_rooms_were_told() -> None:
    async with Rooms("memory://", outbox_bytes=3000) as rooms:
        slow, quick = [await Guest(rooms, "r").enter() for _ in range(2)]
        slow.client.stall()
        for _ in range(3):
            await rooms.publish("r", KILOBYTE[:900])
        assert not slow.member.closed
        await rooms.publish("r", KILOBYTE[:900])
        assert slow.member.closed
        assert len(await quick.hears(4)) == 4
        await slow.ended.wait()
        assert slow.ws.close_reason == "too slow: 3000 bytes are waiting; come back and resume"
        for guest in (slow, quick):
            await guest.leave()


async def test_a_handler_that_is_busy_learns_of_its_slow_peer_when_it_receives(rooms: Rooms) -> None:
    busy, done = asyncio.Event(), asyncio.Event()
    heard: list[object] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        ws = WebSocket(scope, receive, send)
        async with rooms.join("r", ws) as member:
            async for message in member:
                heard.append(message)
                busy.set()
                await done.wait()
            heard.append(ws.close_code)

    client = await connect(application).open()
    await client.send("work")
    await client.send("never heard")
    await busy.wait()
    client.stall()
    for _ in range(1100):
        await rooms.publish("r", KILOBYTE)
    assert await rooms.count("r") == 0
    done.set()
    await client.finished()
    assert heard == ["work", 4020]


async def test_many_slow_members_delay_nobody(rooms: Rooms, enter: Enter) -> None:
    slow = [await enter() for _ in range(20)]
    quick = await enter()
    for guest in slow:
        guest.client.stall()
    for number in range(15):
        await rooms.publish("r", f"{number} " + "x" * 100_000)
        assert str((await quick.hears(1))[0]).startswith(f"{number} ")
    assert all(guest.member.closed for guest in slow)
    assert await rooms.count("r") == 1
    for guest in slow:
        await guest.left.wait()
