"""The app that the Autobahn test suite talks to: it sends back what it gets."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from roomcast.protocol import compiled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    await receive()
    if scope["type"] == "lifespan":
        sys.stdout.write(f"The protocol runs {'compiled' if compiled() else 'interpreted'}.\n")
        sys.stdout.flush()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})
