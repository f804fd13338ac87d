"""Lifespan: an ASGI app with something open while it runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("roomcast.rooms")


def with_lifespan(app: ASGIApp, resource: AbstractAsyncContextManager[Any]) -> ASGIApp:
    """Give `app` with `resource` entered before its startup, and left after its shutdown.

    The app may handle the lifespan itself or not; the server sees an app that does.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _Lifespan(app, resource, scope, receive, send).run()
        else:
            await app(scope, receive, send)

    return wrapped


class _Lifespan:
    """One run of the lifespan protocol (ASGI, "Lifespan Protocol")."""

    def __init__(
        self,
        app: ASGIApp,
        resource: AbstractAsyncContextManager[Any],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._app = app
        self._resource = resource
        self._scope = scope
        self._receive = receive
        self._send = send
        self._asked_to_start = False
        self._started = False
        self._stopping = False

    async def run(self) -> None:
        try:
            await self._resource.__aenter__()
        except Exception as error:
            logger.exception("the app cannot start")
            await self._receive()
            await self._send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        try:
            await self._run_app()
        finally:
            if not self._stopping:
                await self._resource.__aexit__(None, None, None)

    async def _run_app(self) -> None:
        try:
            await self._app(self._scope, self._receive_for_app, self._send_for_app)
        except Exception as error:  # noqa: BLE001 - ASGI: an app that raises here has no lifespan of its own
            logger.debug("the app takes no part in the lifespan: %r", error)
        if not self._started:
            await self._serve_without_app()

    async def _serve_without_app(self) -> None:
        if not self._asked_to_start:
            await self._receive()
        await self._send_for_app({"type": "lifespan.startup.complete"})
        await self._receive()
        await self._send_for_app({"type": "lifespan.shutdown.complete"})

    async def _receive_for_app(self) -> Message:
        event = await self._receive()
        self._asked_to_start = self._asked_to_start or event["type"] == "lifespan.startup"
        return event

    async def _send_for_app(self, event: Message) -> None:
        match event["type"]:
            case "lifespan.startup.complete" | "lifespan.startup.failed":
                self._started = True
            case "lifespan.shutdown.complete" | "lifespan.shutdown.failed":
                self._stopping = True
                await self._resource.__aexit__(None, None, None)
        await self._send(event)
