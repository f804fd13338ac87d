"""Guests of a room: each a client without a network, and the handler on the other end of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from roomcast import Disconnected, Joined, Publication, WebSocket
from roomcast.testing import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from roomcast import Member, RoomEvent, Rooms

DEADLINE = 5.0
"""Seconds that a wait may take: far more than it needs, on a loaded machine too."""


async def until(condition: Callable[[], object]) -> None:
    """Let everything else run until the condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - what is waited for is state, and has no event
            await asyncio.sleep(0)


async def settled() -> None:
    """Let everything run that can run without anything new from outside."""
    for _ in range(20):
        await asyncio.sleep(0)


def notices(event: RoomEvent) -> str | bytes | None:
    """An encoder that writes publications as they are, and who comes and goes as `+name` and `-name`."""
    if isinstance(event, Publication):
        return event.data
    return f"{'+' if isinstance(event, Joined) else '-'}{event.member.info}"


class Guest:
    """A client in one room, whose handler notes what it hears until its connection is over.

    Attributes:
        client: the client's end.
        heard: the messages that the handler received.
        ws: the handler's WebSocket.
        ended: set where the handler's `async for` has ended.
        may_leave: what the handler waits for then, before it leaves the block; set unless it is cleared.
        left: set where the handler has left the block.
    """

    def __init__(self, rooms: Rooms, room: str, **settings: Any) -> None:
        self._rooms = rooms
        self._room = room
        self._settings = settings
        self._member: Member | None = None
        self.heard: list[str | bytes] = []
        self.ended = asyncio.Event()
        self.may_leave = asyncio.Event()
        self.may_leave.set()
        self.left = asyncio.Event()
        self.client = connect(self._app)
        self.ws: WebSocket
        self.task: asyncio.Task[None]

    @property
    def member(self) -> Member:
        assert self._member is not None, "it has not joined"
        return self._member

    async def enter(self) -> Self:
        await self.client.open()
        await until(lambda: self._member is not None)
        return self

    async def hears(self, count: int) -> list[str | bytes]:
        """Give the next messages that the client gets."""
        return [await self.client.receive() for _ in range(count)]

    async def leave(self) -> None:
        """Disconnect, and wait until the handler has returned."""
        if not self.task.cancelled():
            await self.client.disconnect()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.ws = WebSocket(scope, receive, send)
        try:
            async with self._rooms.join(self._room, self.ws, **self._settings) as member:
                self._member = member
                async for message in member:
                    self.heard.append(message)
                self.ended.set()
                await self.may_leave.wait()
        except Disconnected:
            return
        finally:
            self.left.set()
