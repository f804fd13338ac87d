"""Subscriptions: this node's subscriptions at the broker, in step with its members."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.calls import SUBSCRIBING, UNSUBSCRIBING

logger = logging.getLogger("roomcast.rooms")


LINGER = 1.0
"""How many seconds a room that nobody needs stays subscribed: most often, somebody comes back."""
MOST_LINGERING = 10_000
"""How many rooms that nobody needs stay subscribed at the most."""


class Subscribable(Protocol):
    """Where rooms are subscribed to: a broker, or what stands before it."""

    async def subscribe(self, room: str) -> None:
        """Receive the room's publications. May raise BrokerUnavailable."""

    async def unsubscribe(self, room: str) -> None:
        """Receive no more of the room. May raise BrokerUnavailable."""


class Subscriptions:
    """Counts who needs a room: the first subscribes at the broker, and the last unsubscribes late.

    Late, so that a page that is loaded again costs the broker nothing. One task sees to all rooms that nobody
    needs, and checks again, before it unsubscribes, that nobody does.

    Args:
        broker: where to subscribe.
        linger: how many seconds a room stays subscribed that nobody needs any more.
    """

    def __init__(self, broker: Subscribable, *, linger: float = LINGER) -> None:
        self._broker = broker
        self._linger = linger
        self._rooms: dict[str, _Subscription] = {}
        self._lingering: dict[str, float] = {}
        """The rooms that nobody needs, by when they have lingered long enough: the earliest first."""
        self._unsubscribing: asyncio.Task[None] | None = None

    async def acquire(self, room: str) -> None:
        """Need the room: its publications come from when this returns.

        Raises:
            BrokerUnavailable: if the broker cannot be subscribed at.
        """
        subscription = self._rooms.setdefault(room, _Subscription())
        subscription.needed += 1
        self._lingering.pop(room, None)
        try:
            async with subscription.changing:
                if not subscription.active:
                    with SUBSCRIBING:
                        await self._broker.subscribe(room)
                    subscription.active = True
        except BaseException:
            self.release(room)
            raise

    def release(self, room: str) -> None:
        """Need the room no more."""
        subscription = self._rooms.get(room)
        if subscription is None:
            return  # they were closed meanwhile
        subscription.needed -= 1
        if subscription.needed:
            return
        if subscription.active:
            self._lingering[room] = asyncio.get_running_loop().time() + self._linger
            if self._unsubscribing is None:
                self._unsubscribing = asyncio.create_task(self._unsubscribe())
        elif not subscription.changing.locked():  # else whoever is unsubscribing clears up
            del self._rooms[room]

    async def close(self) -> None:
        """Forget everything, without a word to the broker: it is closed next, and all subscriptions with it."""
        self._rooms.clear()
        self._lingering.clear()
        if self._unsubscribing is not None:
            self._unsubscribing.cancel()
            await asyncio.wait([self._unsubscribing])

    async def _unsubscribe(self) -> None:
        """Unsubscribe from the rooms that have lingered long enough, until none is left."""
        try:
            while self._lingering:
                room, due = next(iter(self._lingering.items()))
                wait = due - asyncio.get_running_loop().time()
                if wait > 0 and len(self._lingering) <= MOST_LINGERING:
                    await asyncio.sleep(wait)  # it may be needed again by then
                else:
                    del self._lingering[room]
                    await self._unsubscribe_from(room, self._rooms[room])
        finally:
            self._unsubscribing = None

    async def _unsubscribe_from(self, room: str, subscription: _Subscription) -> None:
        async with subscription.changing:
            if subscription.needed:
                return
            try:
                if subscription.active:
                    subscription.active = False
                    with UNSUBSCRIBING:
                        await self._broker.unsubscribe(room)
            except BrokerUnavailable as error:
                logger.warning("the broker was not told that nobody needs room %r any more: %s", room, error)
            finally:
                if not subscription.needed:
                    self._rooms.pop(room, None)


class _Subscription:
    """One room's subscription."""

    __slots__ = ("active", "changing", "needed")

    def __init__(self) -> None:
        self.needed = 0
        self.active = False
        self.changing = asyncio.Lock()
