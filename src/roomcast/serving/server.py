"""The server of one process: uvicorn's, which drains, and answers operators."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from roomcast.health import health
from roomcast.server.draining import LAST_SECONDS
from roomcast.server.session import Session
from roomcast.serving.operations import operating
from roomcast.serving.reports import OwnReport, report_here

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from roomcast.serving.config import Config

logger = logging.getLogger("uvicorn.error")

LEAST_SECONDS = 0.1
"""How long what is no WebSocket may take at the least, when the server goes."""


class Server(uvicorn.Server):
    """uvicorn's server, which sees its WebSockets off while it still answers HTTP, and ends when it is told to.

    One signal is enough while the app starts up. After that it asks for an end in order, and the same signal again
    for one at once.

    Args:
        config: the configuration.
        operators: sockets on which operators are answered, if this process is to do that.
    """

    config: Config
    _cancel: Callable[[], object]

    def __init__(self, config: Config, operators: list[socket.socket] | None = None) -> None:
        super().__init__(config)
        self._operators = operators
        self._beside = contextlib.AsyncExitStack()

    def run(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: D102
        with contextlib.suppress(asyncio.CancelledError):
            super().run(sockets)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: D102
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._cancel = lambda: loop.call_soon_threadsafe(self._end_at_once, task)
        async with self._beside:
            await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: D102
        await super().startup(sockets)
        operations = self.config.operations
        if operations.folder is not None:
            await self._beside.enter_async_context(await report_here(operations.folder))
        if self._operators:
            await self._beside.enter_async_context(operating(self._operators, OwnReport(), operations.token))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See the WebSockets off, then do as uvicorn does, with what is left of the time.

        Until the last one has gone, HTTP is answered, so that whoever asks hears that this node is not ready. Who
        asks for a WebSocket is refused with 503.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.config.drain
        health.drains.add(self)
        websockets = self._websockets()
        for websocket in websockets:
            websocket.shutdown()
        if websockets:
            logger.info(
                "Waiting for connections to close, for %g s at the most: %d are open. (CTRL+C to force quit)",
                self.config.drain,
                len(websockets),
            )
        # The drain cuts what is left in time: an app that takes no notice of its cancellation may still be there.
        last = deadline - LAST_SECONDS / 2
        while self._websockets() and loop.time() < last and not self.force_exit:  # noqa: ASYNC110 - as uvicorn waits
            await asyncio.sleep(0.02)
        left = max(last - loop.time(), LEAST_SECONDS)
        self.config.timeout_graceful_shutdown = left  # type: ignore[assignment]  # seconds all the same
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: D102
        again = sig in self._captured_signals
        super().handle_exit(sig, frame)
        self.force_exit = self.force_exit or again
        # An exception raised in here would come up in whatever runs at the moment: in the event loop itself.
        self._cancel()

    def _websockets(self) -> list[Session]:
        connections: set[Any] = self.server_state.connections
        return [each for each in connections if isinstance(each, Session)]

    def _end_at_once(self, task: asyncio.Task[None]) -> None:
        if not self.started or self.force_exit:
            # It would log what is cancelled with a traceback, as if that were an error.
            logger.disabled = True
            task.cancel()
