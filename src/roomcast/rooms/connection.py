"""Connection: one WebSocket as rooms see it, however many rooms it is in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from roomcast.close_codes import CloseCode
from roomcast.errors import Disconnected
from roomcast.rooms.outlet import CLOSE_TIMEOUT, AsgiOutlet, Outlet
from roomcast.websocket import WebSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.rooms.stay import Stay


class Connection:
    """A WebSocket, its outlet and its stays in rooms.

    Args:
        ws: the WebSocket, accepted or not yet.
        bound: how many bytes of messages may wait for it.
        on_close: called with the connection once its outlet has closed, or its end was received.
    """

    def __init__(self, ws: WebSocket, *, bound: int, on_close: Callable[[Connection], None]) -> None:
        self.ws = ws
        offered = ws.scope.get("extensions", {}).get("roomcast.outlet")
        self.outlet: Outlet = AsgiOutlet(ws.asgi[2]) if offered is None else offered["outlet"]
        self.outlet.bound = bound
        self.bound = bound
        self.stays: dict[str, Stay] = {}
        self.joins = 0
        """How many `async with rooms.join(…)` blocks it is in."""
        self._on_close = on_close
        self._accepting = asyncio.Lock()
        self._waits: set[asyncio.Timeout] = set()
        self._patience: asyncio.TimerHandle | None = None
        self._ended: Disconnected | None = None
        # A server with an outlet of its own also ends the handler's receive by itself, behind all that has come.
        self.outlet.on_close(self._closed if offered is None else lambda *_: on_close(self))

    async def accept(self, subprotocol: str | None) -> None:
        """Accept the connection, if it was not yet."""
        async with self._accepting:  # joins of several rooms may begin at once
            if not self.ws.accepted:
                await self.ws.accept(subprotocol)

    async def receive(self) -> str | bytes:
        """Wait for the next message, or for the end, also where it is the outlet that ends the connection.

        Raises:
            Disconnected: if the connection is over.
        """
        if self._ended is not None:
            raise self._ended
        wait = asyncio.timeout(None)  # it tells an interruption from every other cancellation
        try:
            async with wait:
                self._waits.add(wait)
                return await self.ws.receive()
        except TimeoutError:
            if self._ended is None:
                raise  # the server's own
            raise self._ended from None
        except Disconnected as ended:
            self._ended = ended
            self._on_close(self)
            raise
        finally:
            self._waits.discard(wait)

    async def finish(self) -> None:
        """Take nothing more, and wait until what was taken is written."""
        if self._patience is not None:
            self._patience.cancel()
        await self.outlet.finish()

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
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            wait.reschedule(now)
        self._waits.clear()


def as_websocket(ws: Any) -> WebSocket:  # noqa: ANN401 - any framework's
    """Give the roomcast face of a connection.

    Args:
        ws: a `roomcast.WebSocket`, a Starlette or FastAPI `WebSocket`, or a tuple of scope, receive and send.

    Raises:
        TypeError: for anything else.
    """
    match ws:
        case WebSocket():
            return ws
        case (scope, receive, send):
            return WebSocket(scope, receive, send)
    from starlette.websockets import WebSocket as StarletteWebSocket  # noqa: PLC0415 - only where it is used
    from starlette.websockets import WebSocketState  # noqa: PLC0415

    if isinstance(ws, StarletteWebSocket):
        accepted = ws.application_state is WebSocketState.CONNECTED
        face = WebSocket(ws.scope, ws.receive, ws.send, accepted=accepted)
        if WebSocketState.DISCONNECTED in {ws.client_state, ws.application_state}:
            face.mark_closed(CloseCode.ABNORMAL)
        return face
    raise TypeError(
        "expected a roomcast.WebSocket, a Starlette or FastAPI WebSocket, or (scope, receive, send), "
        f"not {type(ws).__name__}"
    )
