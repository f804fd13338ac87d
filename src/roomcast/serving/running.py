"""Running uvicorn on sockets that listen already: in this process, in several workers, or reloading."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from uvicorn.config import STARTUP_FAILURE

from roomcast.serving.config import Config
from roomcast.serving.garbage import settle
from roomcast.serving.limiting import max_message_size
from roomcast.serving.logs import log_config
from roomcast.serving.operations import Operations, in_a_thread, operating_for_node
from roomcast.serving.server import Server
from roomcast.serving.supervising import NOTICE_SECONDS, Reloader, Workers

if TYPE_CHECKING:
    import socket

    from roomcast.serving.announcement import Announcement
    from roomcast.serving.apps import AppReference

WEBSOCKETS = "roomcast.server.uvicorn:WebSocketProtocol"
"""The WebSocket protocol that uvicorn loads."""

HTTP = "roomcast.server.http:HTTPProtocol"
"""The HTTP protocol that uvicorn loads."""

LOOP = "asyncio" if sys.platform == "win32" else "uvloop"
"""The event loop: there is no uvloop for Windows."""

RELOAD_SECONDS = 0.25
"""How long a process that reloads takes for its connections: it does not wait for them."""


@dataclass(frozen=True)
class Manner:
    """How an app is to be served.

    Attributes:
        workers: how many processes serve.
        reload: whether a changed source file below the current directory restarts the app.
        drain: how many seconds all may take for their connections when they are to stop.
        log_level: uvicorn's name of the least important messages that are logged.
        log_format: `text` or `json`.
        certfile: the TLS certificate, None for plain connections.
        keyfile: its key.
        forwarded_allow_ips: the proxies whose word on who the client is counts; uvicorn's default, unless given.
        operations: what operators can ask for.
        operators: sockets that listen for operators; none where they are not to be answered apart.
    """

    workers: int = 1
    reload: bool = False
    drain: float = 10.0
    log_level: str = "info"
    log_format: str = "text"
    certfile: str | None = None
    keyfile: str | None = None
    forwarded_allow_ips: str | None = None
    operations: Operations = field(default_factory=Operations)
    operators: list[socket.socket] = field(default_factory=list)


def run(
    app: AppReference, listeners: list[socket.socket], announcement: Announcement, manner: Manner | None = None
) -> int:
    """Serve the app until a signal ends it.

    Args:
        app: the app. With several workers or `reload`, each new process looks it up for itself.
        listeners: sockets that listen.
        announcement: is called in every process that serves, as soon as it does.
        manner: how.

    Returns:
        The exit code: 0, or 3 as uvicorn's where the app's startup failed.

    Raises:
        ConfigurationError: the factory, which is only called now, makes no app.
        KeyboardInterrupt: Ctrl+C ended it; SIGTERM does, where it is handled as Ctrl+C is.
    """
    manner = Manner() if manner is None else manner
    with ExitStack() as stack:
        if manner.reload or manner.workers > 1:
            return _supervise(app, listeners, announcement, _with_reports(manner, stack))
        return _serve(app, listeners, announcement, manner)


def _with_reports(manner: Manner, stack: ExitStack) -> Manner:
    """Have this process, which serves nothing, answer operators for those that do."""
    if not manner.operators and not manner.operations.on_public_port:
        return manner
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roomcast-", ignore_cleanup_errors=True)))
    operators, token = manner.operators, manner.operations.token
    stack.enter_context(in_a_thread(lambda: operating_for_node(operators, folder, token)))
    return replace(manner, operations=replace(manner.operations, folder=folder))


def _supervise(
    app: AppReference, listeners: list[socket.socket], announcement: Announcement, manner: Manner
) -> int:
    if manner.reload:
        config = _config(app, announcement, replace(manner, drain=RELOAD_SECONDS))
        Reloader(config, target=Server(config).run, sockets=listeners).run()
        return 0
    drain = max(manner.drain - NOTICE_SECONDS, manner.drain / 2)
    supervisor = Workers(_config(app, announcement, replace(manner, drain=drain)), listeners)
    supervisor.run()
    failed = any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes)
    return STARTUP_FAILURE if failed else 0


def _serve(app: AppReference, listeners: list[socket.socket], announcement: Announcement, manner: Manner) -> int:
    server = Server(_config(app, announcement, manner), manner.operators)
    try:
        server.run(listeners)
    except SystemExit:
        if server.started:
            raise
        return STARTUP_FAILURE
    return 0


def _config(app: AppReference, announcement: Announcement, manner: Manner) -> Config:
    supervised = manner.reload or manner.workers > 1
    os.environ["ROOMCAST_WS_DRAIN"] = str(manner.drain)  # that is where the server's half of it looks
    return Config(
        # Made here, and not by uvicorn, the app can fail with an error that tells what is wrong with it.
        str(app) if supervised else app.create,
        factory=app.factory if supervised else True,
        workers=manner.workers,
        reload=manner.reload,
        loop=LOOP,
        http=HTTP,
        ws=WEBSOCKETS,
        log_level=manner.log_level,
        log_config=log_config(manner.log_format, manner.log_level),
        ssl_certfile=manner.certfile,
        ssl_keyfile=manner.keyfile,
        forwarded_allow_ips=manner.forwarded_allow_ips,
        ws_max_size=max_message_size(),
        # uvicorn calls it first when the startup is complete; it is the only call that reaches all workers.
        callback_notify=Started(announcement),
        drain=manner.drain,
        operations=manner.operations,
    )


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
