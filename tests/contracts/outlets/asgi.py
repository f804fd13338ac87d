"""The outlet on an ASGI `send` that hands each event straight to the peer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomcast.rooms import AsgiOutlet
from tests.contracts.outlets.wire import BOUND, Wire
from tests.rooms.guests import DEADLINE

if TYPE_CHECKING:
    from starlette.types import Message

    from roomcast.rooms import Outlet


class AsgiWire(Wire):
    """An `AsgiOutlet` without a server."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._reads = asyncio.Event()
        self._reads.set()
        self._lost = False
        self._outlet = AsgiOutlet(self._send, bound=BOUND)
        self.outlet: Outlet = self._outlet
        self._others: list[AsgiWire] = []

    async def _send(self, event: Message) -> None:
        await self._reads.wait()
        if self._lost:
            raise OSError("the peer has gone")
        self._events.put_nowait(dict(event))
        event.clear()  # a server may do with its event what it likes

    @classmethod
    async def open(cls, _address: object = None) -> AsgiWire:
        return cls()

    async def another(self) -> Wire:
        wire = AsgiWire()
        self._others.append(wire)
        return wire

    async def next(self) -> str | bytes | tuple[int, str]:
        event = await asyncio.wait_for(self._events.get(), DEADLINE)
        if event.pop("type") == "websocket.close":
            return event["code"], event["reason"]
        [(kind, data)] = event.items()
        assert isinstance(data, {"text": str, "bytes": bytes}[kind])
        assert isinstance(data, str | bytes)
        return data

    def stop_reading(self) -> None:
        self._reads.clear()

    def resume(self) -> None:
        self._reads.set()

    async def lose(self) -> None:
        self._lost = True
        self._reads.set()

    async def end(self) -> None:
        for wire in (self, *self._others):
            wire.resume()
            await wire.outlet.finish()
