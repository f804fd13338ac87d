"""What a node tells of its load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.rooms.load import Load
from roomcast.rooms.nodes import NodeInfo

if TYPE_CHECKING:
    from roomcast import Rooms
    from tests.rooms.conftest import Enter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_node_tells_its_rates_and_what_waits(rooms: Rooms, enter: Enter) -> None:
    guests = [await enter() for _ in range(3)]
    clock = Clock()
    load = Load(rooms._node, rooms._connections, clock)
    for _ in range(10):
        await rooms.publish("r", "hi")
    for guest in guests:
        await guest.hears(10)
    clock.now = 5.0
    told = load.note(NodeInfo.of("node"))
    assert (told.members, told.rooms, told.published, told.delivered) == (3, 1, 2.0, 6.0)
    assert told.queued_bytes == 0
    guests[0].client.stall()
    for _ in range(10):
        await rooms.publish("r", "x" * 1000)
    waiting = load.note(NodeInfo.of("node"))
    assert waiting.queued_bytes >= 8000
    assert waiting.published == 2.0, "no time has passed to measure a rate in"
    guests[0].client.resume()
    clock.now = 10.0
    load.note(NodeInfo.of("node"))
    clock.now = 15.0
    quiet = load.note(NodeInfo.of("node"))
    assert (quiet.published, quiet.delivered) == (0.0, 0.0)
