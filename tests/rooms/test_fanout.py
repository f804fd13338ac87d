from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import Joined, Publication
from roomcast.rooms import AsgiOutlet
from tests.rooms.guests import settled

if TYPE_CHECKING:
    from roomcast import RoomEvent, Rooms
    from tests.rooms.conftest import Enter


def shout(event: RoomEvent) -> str | None:
    return str(event.data).upper() if isinstance(event, Publication) else None


class Format:
    """An encoder that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, event: RoomEvent) -> str | bytes | None:
        self.calls += 1
        return f"{self.calls}:{event.data!r}" if isinstance(event, Publication) else None

    __call__ = encode


async def test_each_member_gets_the_format_of_its_encoder(rooms: Rooms, enter: Enter) -> None:
    loud, plain = await enter(encoder=shout), await enter()
    await rooms.publish("r", "hi")
    assert await loud.hears(1) == ["HI"]
    assert await plain.hears(1) == ["hi"]


@pytest.mark.parametrize("kind", ["object", "method", "partial"])
async def test_an_encoder_is_called_once_an_event_however_many_members_use_it(
    rooms: Rooms, enter: Enter, kind: str
) -> None:
    format_ = Format()
    once = partial(format_.encode)

    def encoder() -> Any:
        return {"object": format_, "method": format_.encode, "partial": once}[kind]

    guests = [await enter(encoder=encoder()) for _ in range(10)]
    await settled()
    format_.calls = 0
    await rooms.publish("r", "hi")
    assert format_.calls == 1
    for guest in guests:
        assert await guest.hears(1) == ["1:'hi'"]


async def test_members_of_one_format_get_one_prepared_message(rooms: Rooms, enter: Enter) -> None:
    """So that what a server makes of it, such as a compressed frame, is made once."""
    guests = [await enter(encoder=shout) for _ in range(3)]
    for guest in guests:
        guest.client.stall()
    await rooms.publish("r", "first")
    await rooms.publish("r", "second")
    queued = []
    for guest in guests:
        outlet = guest.member.connection.outlet
        assert isinstance(outlet, AsgiOutlet)
        queued.append(outlet._queue.take())
    assert queued[0] is queued[1] is queued[2]


async def test_an_encoder_that_is_not_used_is_not_called(rooms: Rooms, enter: Enter) -> None:
    format_ = Format()
    only = await enter(encoder=format_)
    await settled()
    format_.calls = 0
    await rooms.publish("r", "hi", exclude=only.member)
    await only.leave()
    await rooms.publish("r", "hi")
    assert format_.calls == 0


async def test_an_encoder_may_have_nothing_to_say(rooms: Rooms, enter: Enter) -> None:
    guest = await enter(encoder=lambda event: "somebody came" if isinstance(event, Joined) else None)
    await rooms.publish("r", "hi")
    assert await guest.client.receives_nothing()
    await enter()
    assert await guest.hears(1) == ["somebody came"]


@pytest.mark.parametrize("written", [ZeroDivisionError("oops"), 5, {"a": 1}, ["x"], "\ud800"])
async def test_an_encoder_that_fails_harms_nobody_else(
    rooms: Rooms, enter: Enter, caplog: pytest.LogCaptureFixture, written: Any
) -> None:
    def broken(_event: RoomEvent) -> str | bytes | None:
        if isinstance(written, Exception):
            raise written
        return written  # type: ignore[no-any-return]  # which is the point

    victim, before, after = await enter(encoder=broken), await enter(), await enter()
    assert (await rooms.publish("r", "hi")).offset == 1
    assert await before.hears(1) == await after.hears(1) == ["hi"]
    assert await victim.client.receives_nothing()
    assert not victim.member.closed
    assert "could not write a Publication" in caplog.text


@pytest.mark.usefixtures("impatient")
async def test_a_member_that_leaves_because_of_a_message_leaves_the_others_theirs(
    rooms: Rooms, enter: Enter
) -> None:
    first, slow, last = await enter(), await enter(), await enter()
    slow.client.stall()
    for _ in range(3):
        await rooms.publish("r", "x" * 600_000)
    assert slow.member.closed
    assert [len(message) for message in await first.hears(3)] == [600_000] * 3
    assert [len(message) for message in await last.hears(3)] == [600_000] * 3
