"""Subscriptions: this node's subscriptions at the broker, in step with its members."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomcast.rooms.brokers.base import Broker


class Subscriptions:
    """Counts who needs a room; the first subscribes at the broker, and the last unsubscribes."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._rooms: dict[str, _Subscription] = {}

    async def acquire(self, room: str) -> None:
        """Need the room: its publications come from when this returns.

        Raises:
            BrokerUnavailable: if the broker cannot be subscribed at.
        """
        subscription = self._rooms.setdefault(room, _Subscription())
        subscription.needed += 1
        try:
            async with subscription.changing:
                if not subscription.active:
                    await self._broker.subscribe(room)
                    subscription.active = True
        except BaseException:
            await self.release(room)
            raise

    async def release(self, room: str) -> None:
        """Need the room no more."""
        subscription = self._rooms[room]
        subscription.needed -= 1
        async with subscription.changing:
            if subscription.needed or self._rooms.get(room) is not subscription:
                return  # somebody came, or somebody else has cleared up, while this waited for its turn
            try:
                if subscription.active:
                    subscription.active = False
                    await self._broker.unsubscribe(room)
            finally:
                if not subscription.needed:
                    del self._rooms[room]


class _Subscription:
    """One room's subscription."""

    __slots__ = ("active", "changing", "needed")

    def __init__(self) -> None:
        self.needed = 0
        self.active = False
        self.changing = asyncio.Lock()
