"""websocket_app: an ASGI app from a handler of WebSockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from roomcast.close_codes import CloseCode
from roomcast.errors import BrokerUnavailable, Disconnected, OutOfOrder, Refused
from roomcast.websocket import WebSocket

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

AWAY = "what carries the rooms cannot be reached now"

Handler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


class websocket_app:  # noqa: N801 - used as a decorator
    """Make an ASGI app of a coroutine function that handles one WebSocket.

    ```python
    @websocket_app
    async def application(ws):
        await ws.accept()
        async for message in ws:
            await ws.send(message)
    ```

    A handler that raises `BrokerUnavailable` sends its client away, to come back later: with HTTP status 503, or
    with close code 1013 once it has accepted.

    To HTTP it answers that there is a WebSocket here (426, RFC 9110, section 15.5.22), and it takes part in the
    lifespan without doing anything.

    Args:
        handler: called with each `roomcast.WebSocket`, which it is to accept or reject.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        match scope["type"]:
            case "websocket":
                ws = WebSocket(scope, receive, send)
                try:
                    await self._handler(ws)
                except Refused:
                    pass  # it was answered
                except BrokerUnavailable:
                    await _send_away(ws)
            case "http":
                await _ask_for_upgrade(send)
            case "lifespan":
                for step in ("startup", "shutdown"):
                    await receive()
                    await send({"type": f"lifespan.{step}.complete"})


async def _send_away(ws: WebSocket) -> None:
    """End what cannot go on without the broker: that it is away is logged once, and not for each client."""
    with suppress(Disconnected, OutOfOrder):
        if ws.accepted:
            await ws.close(CloseCode.TRY_AGAIN_LATER, AWAY)
        else:
            await ws.reject(CloseCode.TRY_AGAIN_LATER, AWAY, status=503)


async def _ask_for_upgrade(send: Send) -> None:
    body = b"This is a WebSocket: connect to it with ws:// or wss://.\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"upgrade", b"websocket"),
        (b"connection", b"upgrade"),
    ]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": body})
