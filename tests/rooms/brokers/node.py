"""A broker as one process has it, and what it delivered there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from roomcast import Position
from roomcast.rooms.retention import BY_DEFAULT, Retentions
from tests.rooms.guests import DEADLINE

if TYPE_CHECKING:
    from roomcast.rooms import Broker

Delivery: TypeAlias = tuple[str, Position | None, bytes]


class Node:
    """A broker, and what nobody has looked at yet of what it told.

    Attributes:
        returned: set where the broker said that something may have been missed.
        vanished: the rooms and presences of members whose node died.
    """

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.returned = asyncio.Event()
        self.vanished: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._delivered: asyncio.Queue[Delivery] = asyncio.Queue()

    async def open(self, retentions: Retentions = BY_DEFAULT) -> None:
        await self.broker.open(self._note, retentions, returned=self.returned.set, vanished=self._note_vanished)

    def _note(self, room: str, position: Position | None, payload: bytes) -> None:
        self._delivered.put_nowait((room, position, payload))

    def _note_vanished(self, room: str, presence: bytes) -> None:
        self.vanished.put_nowait((room, presence))

    async def delivered(self) -> Delivery:
        """Wait for the next delivery."""
        return await asyncio.wait_for(self._delivered.get(), DEADLINE)

    def so_far(self) -> list[Delivery]:
        """Give what was delivered until now."""
        return [self._delivered.get_nowait() for _ in range(self._delivered.qsize())]

    async def delivered_nothing(self) -> bool:
        """Whether nothing has been delivered that was published until now: a last publication comes first."""
        await self.broker.subscribe("the end")
        await self.broker.publish("the end", b"")
        return (await self.delivered())[0] == "the end"
