"""Running uvicorn on sockets that listen already: in this process, in several workers, or reloading."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from roomcast.serving.garbage import settle
from roomcast.serving.limiting import max_message_size
from roomcast.serving.supervising import Config, Reloader, Workers

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from roomcast.serving.announcement import Announcement
    from roomcast.serving.apps import AppReference

WEBSOCKETS = "roomcast.server.uvicorn:WebSocketProtocol"
"""The WebSocket protocol that uvicorn loads."""

HTTP = "roomcast.server.http:HTTPProtocol"
"""The HTTP protocol that uvicorn loads."""

LOOP = "asyncio" if sys.platform == "win32" else "uvloop"
"""The event loop: there is no uvloop for Windows."""

GRACE_SECONDS = 5
"""How long a stopping server waits for what its connections still do, before it cancels that."""


def run(
    app: AppReference,
    listeners: list[socket.socket],
    announcement: Announcement,
    *,
    workers: int = 1,
    reload: bool = False,
    log_level: str = "info",
    certfile: str | None = None,
    keyfile: str | None = None,
    forwarded_allow_ips: str | None = None,
) -> int:
    """Serve the app until a signal ends it.

    Args:
        app: the app. With several workers or `reload`, each new process looks it up for itself.
        listeners: sockets that listen.
        announcement: is called in every process that serves, as soon as it does.
        workers: how many processes serve.
        reload: whether a changed source file below the current directory restarts the app.
        log_level: uvicorn's name of the least important messages that are logged.
        certfile: the TLS certificate, None for plain connections.
        keyfile: its key.
        forwarded_allow_ips: the proxies whose word on who the client is counts; uvicorn's default, unless given.

    Returns:
        The exit code: 0, or 3 as uvicorn's where the app's startup failed.

    Raises:
        ConfigurationError: the factory, which is only called now, makes no app.
        KeyboardInterrupt: Ctrl+C ended it; SIGTERM does, where it is handled as Ctrl+C is.
    """
    supervised = reload or workers > 1
    config = Config(
        # Made here, and not by uvicorn, the app can fail with an error that tells what is wrong with it.
        str(app) if supervised else app.create,
        factory=app.factory if supervised else True,
        workers=workers,
        reload=reload,
        loop=LOOP,
        http=HTTP,
        ws=WEBSOCKETS,
        log_level=log_level,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
        forwarded_allow_ips=forwarded_allow_ips,
        ws_max_size=cast("int", max_message_size()),
        timeout_graceful_shutdown=GRACE_SECONDS,
        # uvicorn calls it first when the startup is complete; it is the only call that reaches all workers.
        callback_notify=Started(announcement),
    )
    if reload:
        Reloader(config, target=Server(config).run, sockets=listeners).run()
        return 0
    if workers > 1:
        supervisor = Workers(config, listeners)
        supervisor.run()
        failed = any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes)
        return STARTUP_FAILURE if failed else 0
    server = Server(config)
    try:
        server.run(listeners)
    except SystemExit:
        if server.started:
            raise
        return STARTUP_FAILURE
    return 0


class Started:
    """What uvicorn calls in every process that serves, once it does and then now and then.

    Args:
        announcement: tells where the server is.
    """

    def __init__(self, announcement: Announcement) -> None:
        self._announcement = announcement
        self._is_settled = False

    async def __call__(self) -> None:
        """Tell where the server is, and have the garbage collector leave alone what the start has made."""
        if not self._is_settled:
            self._is_settled = True
            settle()
        await self._announcement()


class Server(uvicorn.Server):
    """uvicorn's server, which also ends where it would wait on: for an app that starts up or shuts down.

    One signal is enough while the app starts up. After that it asks for an end in order, and a second Ctrl+C
    for one at once.
    """

    _cancel: Callable[[], object]

    def run(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: D102
        with suppress(asyncio.CancelledError):
            super().run(sockets)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: D102
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._cancel = lambda: loop.call_soon_threadsafe(self._end_at_once, task)
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: D102
        super().handle_exit(sig, frame)
        # An exception raised in here would come up in whatever runs at the moment: in the event loop itself.
        self._cancel()

    def _end_at_once(self, task: asyncio.Task[None]) -> None:
        if not self.started or self.force_exit:
            # It would log what is cancelled with a traceback, as if that were an error.
            logging.getLogger("uvicorn.error").disabled = True
            task.cancel()
