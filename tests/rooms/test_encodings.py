"""A publication is written once for a room, and not once for each member, and deflated no more often."""

from __future__ import annotations

import zlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import Publication, Rooms
from roomcast.protocol import deflate
from tests.rooms.guests import until
from tests.rooms.writes import Writes, counting
from tests.server.peer import Peer, opened, text_frame
from tests.server.serving import Calls, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roomcast import RoomEvent
    from tests.server.serving import Serving

MEMBERS = 5
"""Of each kind."""
TEXT = "much the same " * 100
OFFERS = {
    "none": [],
    "15 bits": [("Sec-WebSocket-Extensions", "permessage-deflate")],
    "10 bits": [("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=10")],
}


class Encoder:
    """Writes publications as they are, and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, event: RoomEvent) -> str | bytes | None:
        if not isinstance(event, Publication):
            return None
        self.calls += 1
        return event.data


class Site:
    """Our server, and members of one room."""

    def __init__(self, server: Serving, rooms: Rooms, stack: AsyncExitStack) -> None:
        self._server = server
        self._rooms = rooms
        self._stack = stack

    async def enter(self, headers: list[tuple[str, str]], **settings: Any) -> Peer:
        peer, call = await opened(self._server, "/", headers)
        await self._rooms.enter("r", (call.scope, call.raw_receive, call.raw_send), **settings)
        return await self._stack.enter_async_context(peer)


@pytest.fixture
async def writes(_no_task_is_left_behind: None) -> Writes:
    return Writes()


@pytest.fixture
async def site(rooms: Rooms, writes: Writes) -> AsyncIterator[Site]:
    async with serving(Calls(), ws=counting(writes)) as server, AsyncExitStack() as stack:
        yield Site(server, rooms, stack)


async def test_a_publication_is_encoded_once_for_each_format(rooms: Rooms, site: Site) -> None:
    formats = [Encoder(), Encoder()]
    peers = [await site.enter([], encoder=formats[number % 2]) for number in range(2 * MEMBERS)]
    await rooms.publish("r", "once")
    assert [await peer.frame() for peer in peers] == [text_frame("once")] * 2 * MEMBERS
    assert [encoder.calls for encoder in formats] == [1, 1]


async def test_a_publication_is_deflated_once_for_each_set_of_parameters(
    rooms: Rooms, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    deflated: list[tuple[int, ...]] = []
    original = deflate.deflate_message

    def deflate_message(payload: bytes, *parameters: int) -> bytes:
        deflated.append(parameters)
        return original(payload, *parameters)

    monkeypatch.setattr("roomcast.protocol.prepared.deflate_message", deflate_message)
    peers = [await site.enter(offer) for _ in range(MEMBERS) for offer in OFFERS.values()]
    await rooms.publish("r", TEXT)
    frames = [await peer.frame() for peer in peers]
    assert sorted(parameters[0] for parameters in deflated) == [10, 15]
    for frame in frames:
        assert frame is not None
        if frame.compressed:
            inflated = zlib.decompressobj(-15).decompress(frame.payload + b"\x00\x00\xff\xff")
            assert inflated.decode() == TEXT
        else:
            assert frame == text_frame(TEXT)
    assert sum(frame is not None and frame.compressed for frame in frames) == 2 * MEMBERS


async def test_what_is_published_in_one_turn_is_one_write_for_each_member(
    rooms: Rooms, site: Site, writes: Writes
) -> None:
    peers = [await site.enter([]) for _ in range(MEMBERS)]
    await until(lambda: writes.total >= MEMBERS)  # their handshakes
    writes.start()
    for number in range(20):
        await rooms.publish("r", str(number))
    for peer in peers:
        assert [await peer.frame() for _ in range(20)] == [text_frame(str(number)) for number in range(20)]
    assert sum(writes.stop()) == MEMBERS
