"""Connection: one WebSocket as rooms see it, however many rooms it is in."""

from __future__ import annotations

import asyncio
import os
import sys
from copy import copy
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from roomcast.close_codes import CloseCode
from roomcast.errors import ConfigurationError, Disconnected
from roomcast.rooms.faces import as_websocket
from roomcast.rooms.outlet import CLOSE_TIMEOUT, AsgiOutlet, Outlet, server_outlet
from roomcast.rooms.reading import READING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from roomcast.rooms.reading import Reading
    from roomcast.rooms.stay import Stay
    from roomcast.websocket import WebSocket

ROOMS_PER_CONNECTION = 128
"""How many rooms a connection may be in, unless told otherwise."""


class Connection:
    """A WebSocket, its outlet and its stays in rooms.

    Args:
        ws: the WebSocket, accepted or not yet.
        bound: how many bytes of messages may wait for it; None for as many as the server has it.
        on_close: called with the connection once its outlet has closed, or its end was seen.
    """

    def __init__(self, ws: WebSocket, *, bound: int | None, on_close: Callable[[Connection], None]) -> None:
        self.ws = ws
        self.stays: dict[str, Stay] = {}
        self.holds = 0
        """How many have joined with it, and not left by themselves."""
        self._on_close = on_close
        self._accepting = asyncio.Lock()
        self._close_when_open: tuple[int, str] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._ended: Disconnected | None = None
        self._reading: Reading | None = ws.scope.get(READING)
        self._offered = offered = server_outlet(ws.scope)
        self._own_outlet = AsgiOutlet(ws.asgi[2]) if offered is None else None
        self.outlet: Outlet = offered or self._own_outlet  # type: ignore[assignment]  # there is always one
        # A server with an outlet of its own also ends the handler's receive by itself, behind all that has come.
        self.outlet.on_close(self._closed if offered is None else lambda *_: on_close(self))
        if bound is not None:
            self.outlet.bound = bound

    async def accept(self, subprotocol: str | None) -> None:
        """Accept the connection, if it was not yet."""
        async with self._accepting:  # joins of several rooms may begin at once
            if not self.ws.accepted:
                await self.ws.accept(subprotocol)
        if self._close_when_open is not None:
            self.outlet.close(*self._close_when_open)
        if self._reading is not None:
            self._reading.accepted = True
            self._reading.watch(self._peer_gone)

    async def receive(self) -> str | bytes:
        """Wait for the next message, or for the end, also where it is the outlet that ends the connection.

        Raises:
            Disconnected: if the connection is over.
        """
        if self._ended is not None:
            raise copy(self._ended)
        try:
            return await self.ws.receive()
        except Disconnected as ended:
            if self._ended is None:  # it was the peer that ended it
                # Not itself: its traceback has the handler's frames, which would live as long as this connection.
                self._ended = copy(ended)
                self._on_close(self)
            raise

    def belongs_to(self, user: str) -> None:
        """Let the server know whose it is, for its log."""
        if self._offered is not None:
            self._offered.user = user

    @property
    def queued_bytes(self) -> int:
        """How many bytes of messages wait here, and not in the server."""
        return 0 if self._own_outlet is None else self._own_outlet.queued_bytes

    def close(self, code: int, reason: str) -> None:
        """Close it, without waiting: at once, or as soon as its handshake is answered."""
        self.outlet.close(code, reason)
        if not self.outlet.closed:
            self._close_when_open = code, reason

    async def finish(self) -> None:
        """Take nothing more, and wait until what was taken is written."""
        if self._patience is not None:
            self._patience.cancel()
        if self._reading is not None:
            self._reading.unwatch()
        await self.outlet.finish()

    def _peer_gone(self, _code: int, _reason: str) -> None:
        """Leave all rooms. The handler learns of it, and of the code, where it receives."""
        if self._patience is not None:
            self._patience.cancel()
        if self._own_outlet is not None:
            self._own_outlet.lose()
        self._on_close(self)

    def _closed(self, code: int, reason: str) -> None:
        if code == CloseCode.ABNORMAL:
            # Of a lost connection the server tells the handler, and knows the code. Should it never do so, the
            # handler would wait for ever: outside of all rooms, and without a way out.
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(CLOSE_TIMEOUT, self._interrupt, code, reason)
        else:
            self._interrupt(code, reason)
        self._on_close(self)

    def _interrupt(self, code: int, reason: str) -> None:
        """Wake the handler where it waits for a message: from a peer that is stalled none may ever come."""
        if self._ended is not None:
            return
        self._ended = Disconnected(code, reason)
        self.ws.mark_closed(code, reason)
        if self._reading is not None:
            self._reading.interrupt(code, reason)


class Connections:
    """The connections that are in rooms: one for each scope, however many rooms it joins.

    Who has joined with a connection lets go of it when it leaves. What the app has forgotten to let go of goes
    with its last member.

    Args:
        bound: how many bytes of messages may wait for each; None for as many as the server has it.
        on_close: called with a connection that is over.
    """

    def __init__(self, bound: int | None, on_close: Callable[[Connection], None]) -> None:
        self._bound = bound
        self._on_close = on_close
        self._by_scope: WeakValueDictionary[int, Connection] = WeakValueDictionary()

    def hold(self, ws: Any) -> Connection:  # noqa: ANN401 - any framework's
        """Give the connection of `ws`, until `let_go`.

        Raises:
            TypeError: if it is none.
        """
        face = as_websocket(ws)
        connection = self._by_scope.get(id(face.scope))
        if connection is None:
            connection = Connection(face, bound=self._bound, on_close=self._on_close)
            self._by_scope[id(face.scope)] = connection
        connection.holds += 1
        return connection

    async def let_go(self, connection: Connection) -> None:
        """Hold the connection no more: with the last hold it takes nothing more."""
        connection.holds -= 1
        if not connection.holds:
            self._by_scope.pop(id(connection.ws.scope), None)
            await connection.finish()

    def __len__(self) -> int:
        return len(self._by_scope)

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._by_scope.values()))


def most_rooms() -> int:
    """Give how many rooms a connection may be in, as the environment has it: 128, unless told otherwise.

    Raises:
        ConfigurationError: `ROOMCAST_ROOMS_PER_CONNECTION` is neither a number over 0 nor `off`.
    """
    text = os.environ.get("ROOMCAST_ROOMS_PER_CONNECTION", str(ROOMS_PER_CONNECTION))
    if text == "off":
        return sys.maxsize
    if not text.isdecimal() or int(text) == 0:
        raise ConfigurationError(f"ROOMCAST_ROOMS_PER_CONNECTION is {text!r}: it must be a number over 0, or off")
    return int(text)
