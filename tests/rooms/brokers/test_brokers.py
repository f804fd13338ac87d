from __future__ import annotations

import pytest

from roomcast import Rooms, UnknownBroker
from roomcast.rooms.brokers import SCHEMES, broker_from_url, check_broker_url, serves_many_processes
from roomcast.rooms.brokers.memory import MemoryBroker


def test_memory_is_the_broker_in_this_process() -> None:
    assert isinstance(broker_from_url("memory://"), MemoryBroker)
    check_broker_url("memory://")
    assert not serves_many_processes("memory://")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_has_a_broker_that_says_how_many_processes_it_serves(scheme: str) -> None:
    assert isinstance(SCHEMES[scheme].many_processes, bool)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nosuch://host", "scheme 'nosuch'; known are: "),
        ("memory", "no scheme; known are: "),
        ("", "no scheme"),
        ("://", "scheme ''"),
        ("MEMORY://", "no scheme"),
        ("memory://host", "takes nothing after the slashes"),
        ("secret:password@host://x", "no scheme"),
    ],
)
def test_a_url_that_names_no_broker_is_told_what_would(url: str, told: str) -> None:
    for find in (broker_from_url, check_broker_url, serves_many_processes):
        with pytest.raises(UnknownBroker, match=told):
            find(url)


@pytest.mark.parametrize(
    "url", ["nosuch://user:hunter2@host", "user:hunter2@host://db", "hunter2", "memory://hunter2"]
)
def test_a_password_in_a_url_is_never_repeated(url: str) -> None:
    with pytest.raises(UnknownBroker) as caught:
        broker_from_url(url)
    assert "hunter2" not in str(caught.value)


async def test_rooms_take_their_broker_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_BROKER", "nosuch://")
    with pytest.raises(UnknownBroker):
        Rooms()
    monkeypatch.delenv("ROOMCAST_BROKER")
    async with Rooms() as rooms:
        assert await rooms.count("r") == 0


async def test_rooms_take_a_broker_itself() -> None:
    async with Rooms(MemoryBroker()) as rooms:
        assert (await rooms.publish("r", "hi")).offset == 1
