"""Chats that keep less, or take less, than the one that is served: `roomcast serve chats:FACTORY --factory`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast import BrokerUnavailable, Retention
from roomcast.chat import create_app
from roomcast.rooms.brokers.memory import MemoryBroker

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from roomcast import Position


def forgetful() -> Starlette:
    """Make one that keeps three messages of a room."""
    return create_app(retention=Retention(size=3, bytes=1 << 20, age=3600))


def refusing() -> Starlette:
    """Make one that cannot send the first message of all."""
    return create_app(_Refusing())


class _Refusing(MemoryBroker):
    _has_refused = False

    async def publish(self, room: str, payload: bytes, *, key: str | None = None, keep: bool = True) -> Position:
        if keep and not self._has_refused:
            self._has_refused = True
            raise BrokerUnavailable("this test wants it so")
        return await super().publish(room, payload, key=key, keep=keep)
