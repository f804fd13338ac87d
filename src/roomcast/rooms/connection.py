"""Connection: one WebSocket as rooms see it, however many rooms it is in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from roomcast.close_codes import CloseCode
from roomcast.errors import Disconnected
from roomcast.rooms.outlet import AsgiOutlet
from roomcast.websocket import WebSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.rooms.stay import Stay


class Connection:
    """A WebSocket, its outlet and its stays in rooms.

    Args:
        ws: the WebSocket, accepted.
        bound: how many bytes of messages may wait for it.
        on_close: called with the connection once its outlet has closed.
    """

    def __init__(self, ws: WebSocket, *, bound: int, on_close: Callable[[Connection], None]) -> None:
        self.ws = ws
        self.outlet = AsgiOutlet(ws.asgi[2], bound=bound)
        self.stays: dict[str, Stay] = {}
        self.joins = 0
        """How many `async with rooms.join(…)` blocks it is in."""
        self._on_close = on_close
        self._receiver: asyncio.Task[Any] | None = None
        self._ended: Disconnected | None = None
        self.outlet.on_close(self._closed)

    async def receive(self) -> str | bytes:
        """Wait for the next message, or for the end, also where it is the outlet that ends the connection.

        Raises:
            Disconnected: if the connection is over.
        """
        if self._ended is not None:
            raise self._ended
        self._receiver = task = asyncio.current_task()
        try:
            return await self.ws.receive()
        except asyncio.CancelledError:
            if self._ended is None or task is None or task.uncancel() > 0:
                raise
            raise self._ended from None
        finally:
            self._receiver = None

    def _closed(self, code: int, reason: str) -> None:
        if code != CloseCode.ABNORMAL:  # of a lost connection the server tells the handler, and knows the code
            self._interrupt(code, reason)
        self._on_close(self)

    def _interrupt(self, code: int, reason: str) -> None:
        """Wake the handler where it waits for a message: from a peer that is stalled none may ever come."""
        self._ended = Disconnected(code, reason)
        self.ws.mark_closed(code, reason)
        if self._receiver is not None:
            self._receiver.cancel()
            self._receiver = None


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
        return WebSocket(ws.scope, ws.receive, ws.send, accepted=accepted)
    raise TypeError(
        "expected a roomcast.WebSocket, a Starlette or FastAPI WebSocket, or (scope, receive, send), "
        f"not {type(ws).__name__}"
    )
