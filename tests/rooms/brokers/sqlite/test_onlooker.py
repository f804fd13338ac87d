"""Looking into a file of rooms that a broker has open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roomcast.errors import BrokerUnavailable, ConfigurationError
from roomcast.rooms.brokers.sqlite import SqliteBroker
from roomcast.rooms.brokers.sqlite.onlooker import Onlooker
from roomcast.rooms.brokers.sqlite.url import Location

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location(tmp_path / "rooms ?#é.db")


async def test_it_sees_what_the_owner_has_published_and_goes_on_to_publish(location: Location) -> None:
    broker = SqliteBroker(location, clock=lambda: 1000.0)
    await broker.open(lambda *_: None)
    try:
        positions = [await broker.publish("a", payload) for payload in (b"1", b"2", b"3")]
        with Onlooker(location) as onlooker:
            assert [payload for _, payload in onlooker.history("a").kept] == [b"1", b"2", b"3"]
            newest = onlooker.history("a", limit=1, reverse=True)
            assert newest.kept == [(positions[2], b"3")]
            assert onlooker.history("a", since=positions[0]).kept == [(positions[1], b"2"), (positions[2], b"3")]
            assert onlooker.history("nobody").kept == []
            await broker.publish("b", b"4")
            assert [(room.name, room.kept, room.used) for room in onlooker.rooms()] == [
                ("a", 3, 1000.0),
                ("b", 1, 1000.0),
            ]
    finally:
        await broker.close()


def test_a_file_that_is_not_there_is_not_made(location: Location) -> None:
    with pytest.raises(BrokerUnavailable, match="nothing was published there yet"), Onlooker(location):
        pass
    assert not location.path.exists()


def test_a_file_of_something_else_is_refused(location: Location) -> None:
    location.path.write_bytes(b"")
    with pytest.raises(ConfigurationError, match="is no file of rooms"), Onlooker(location):
        pass
