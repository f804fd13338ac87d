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
    """One run of the lifespan protocol (ASGI, "Lifespan Protocol").

    The app does as much of it as it likes; what it leaves out is done here.
    """

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
        self._passed: set[str] = set()
        """The types of the events that have passed, in both directions."""
        self._open = False

    async def run(self) -> None:
        try:
            await self._resource.__aenter__()
        except Exception as error:
            logger.exception("the app cannot start")
            await self._receive()
            await self._send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._open = True
        try:
            await self._run_app()
            await self._do_the_rest()
        finally:
            await self._close()

    async def _run_app(self) -> None:
        try:
            await self._app(self._scope, self._receive_for_app, self._send_for_app)
        except Exception as error:  # ASGI: an app that raises here has no lifespan of its own
            if self._passed & {"lifespan.startup.failed", "lifespan.shutdown.failed"}:
                return  # it has told the server
            if "lifespan.startup" in self._passed:
                logger.warning(
                    "the app raised in its lifespan; what it left out is done without it", exc_info=error
                )
            else:
                logger.debug("the app takes no part in the lifespan: %r", error)

    async def _do_the_rest(self) -> None:
        if "lifespan.startup.failed" in self._passed:
            return
        if "lifespan.startup" not in self._passed:
            await self._receive_for_app()
        if "lifespan.startup.complete" not in self._passed:
            await self._send_for_app({"type": "lifespan.startup.complete"})
        if "lifespan.shutdown" not in self._passed:
            await self._receive_for_app()
        if not self._passed & {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
            await self._send_for_app({"type": "lifespan.shutdown.complete"})

    async def _receive_for_app(self) -> Message:
        event = await self._receive()
        self._passed.add(event["type"])
        return event

    async def _send_for_app(self, event: Message) -> None:
        self._passed.add(event["type"])
        if event["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
            try:
                await self._close()
            except Exception as error:
                logger.exception("the app cannot stop as it should")
                event = {"type": "lifespan.shutdown.failed", "message": str(error)}
        await self._send(event)

    async def _close(self) -> None:
        if self._open:
            self._open = False
            await self._resource.__aexit__(None, None, None)
