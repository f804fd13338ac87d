"""Publishing from other threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from roomcast import InvalidRoomName, Position, Rooms, RoomsClosed, Unpublishable
from tests.rooms.guests import DEADLINE

if TYPE_CHECKING:
    from tests.rooms.conftest import Enter


async def test_what_another_thread_publishes_is_heard_and_has_its_position(rooms: Rooms, enter: Enter) -> None:
    speaker, listener = await enter(), await enter()

    def speak() -> list[Position]:
        return [
            rooms.publish_threadsafe("r", "hi", exclude=speaker.member, key="k").result(DEADLINE),
            rooms.publish_threadsafe("r", "hi", key="k").result(DEADLINE),
            rooms.publish_threadsafe("r", b"\x00").result(DEADLINE),
            rooms.publish_threadsafe("r", "passing", keep=False).result(DEADLINE),
        ]

    positions = await asyncio.to_thread(speak)
    assert [position.offset for position in positions] == [1, 1, 2, 2]
    assert await listener.hears(3) == ["hi", b"\x00", "passing"]
    assert await speaker.hears(2) == [b"\x00", "passing"]


async def test_many_threads_publish_at_once(rooms: Rooms) -> None:
    def speak(number: int) -> list[int]:
        return [rooms.publish_threadsafe("r", f"{number}").result(DEADLINE).offset for _ in range(25)]

    with ThreadPoolExecutor(8) as threads:
        loop = asyncio.get_running_loop()
        offsets = await asyncio.gather(*(loop.run_in_executor(threads, speak, number) for number in range(8)))
    assert sorted(offset for some in offsets for offset in some) == list(range(1, 201))
    for some in offsets:
        assert some == sorted(some)


async def test_errors_come_through_the_future(rooms: Rooms) -> None:
    for room, data, error in (("", "hi", InvalidRoomName), ("r", {1}, Unpublishable)):
        with pytest.raises(error):
            await asyncio.wrap_future(rooms.publish_threadsafe(room, data))


async def test_rooms_that_are_not_open_say_so_through_the_future() -> None:
    rooms = Rooms("memory://")
    for _ in range(2):
        refused = rooms.publish_threadsafe("r", "hi")
        assert isinstance(refused.exception(0), RoomsClosed)
        async with rooms:
            assert (await asyncio.wrap_future(rooms.publish_threadsafe("r", "hi"))).offset == 1


def test_rooms_whose_event_loop_is_gone_say_so_through_the_future() -> None:
    rooms = Rooms("memory://")
    asyncio.run(rooms.__aenter__())  # and never left
    assert isinstance(rooms.publish_threadsafe("r", "hi").exception(0), RoomsClosed)


def test_what_comes_while_the_rooms_close_is_published_or_refused_and_never_lost() -> None:
    for _ in range(20):
        rooms = Rooms("memory://")
        published: list[Future[Position]] = []
        opened, stop = threading.Event(), threading.Event()

        def speak() -> None:
            opened.wait(DEADLINE)  # noqa: B023
            while not stop.is_set():  # noqa: B023
                published.append(rooms.publish_threadsafe("r", "hi"))  # noqa: B023

        async def serve() -> None:
            async with rooms:  # noqa: B023
                opened.set()  # noqa: B023
                while not any(future.done() for future in tuple(published)):  # noqa: ASYNC110, B023
                    await asyncio.sleep(0)

        speaking = threading.Thread(target=speak)
        speaking.start()
        asyncio.run(serve())
        stop.set()
        speaking.join(DEADLINE)
        outcomes = {type(future.exception(DEADLINE)) for future in published}
        assert outcomes == {type(None), RoomsClosed}
