from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from roomcast import Rooms
from tests.rooms.guests import DEADLINE, Guest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Enter(Protocol):
    """Brings a guest into a room."""

    async def __call__(self, room: str = "r", **settings: Any) -> Guest: ...


@pytest.fixture(autouse=True)
async def _no_task_is_left_behind() -> AsyncIterator[None]:
    """Every task that a test started, on our side and on its own, has ended with it."""
    yield
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        _, left = await asyncio.wait(left, timeout=DEADLINE)
    assert not left


@pytest.fixture
async def rooms(_no_task_is_left_behind: None) -> AsyncIterator[Rooms]:
    rooms = Rooms("memory://")
    await rooms.__aenter__()
    yield rooms
    async with asyncio.timeout(DEADLINE):  # a test that fails may leave a join that never ends
        await rooms.__aexit__(None, None, None)


@pytest.fixture
async def enter(rooms: Rooms) -> AsyncIterator[Enter]:
    guests: list[Guest] = []

    async def enter(room: str = "r", **settings: Any) -> Guest:
        guest = Guest(rooms, room, **settings)
        guests.append(guest)
        return await guest.enter()

    yield enter
    for guest in guests:
        await guest.leave()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have those who wait for a peer that reads nothing give up soon, and not after seconds."""
    monkeypatch.setattr("roomcast.rooms.outlet.CLOSE_TIMEOUT", 0.01)
    monkeypatch.setattr("roomcast.rooms.connection.CLOSE_TIMEOUT", 0.01)
