"""websocket_app: an ASGI app from a handler of WebSockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from roomcast.errors import Refused
from roomcast.websocket import WebSocket

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

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
                with suppress(Refused):  # it was answered
                    await self._handler(WebSocket(scope, receive, send))
            case "http":
                await _ask_for_upgrade(send)
            case "lifespan":
                for step in ("startup", "shutdown"):
                    await receive()
                    await send({"type": f"lifespan.{step}.complete"})


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
