"""Operations: what an operator's tools ask of a node over HTTP. `/metrics`, `/healthz` and `/readyz`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Protocol

import uvicorn
from prometheus_client.exposition import choose_encoder

from roomcast.health import answer
from roomcast.serving.reports import NodeReport, OwnReport, RemoteReport, report_for_node

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from roomcast.serving.samples import Families

STOP_SECONDS = 5.0
"""How long the end of the thread that answers for a node's workers is waited for."""


class MetricsReport(Protocol):
    """Whose metrics they are."""

    async def metrics(self) -> Families:
        """Give them."""


@dataclass(frozen=True)
class Operations:
    """What the processes of a node are to offer. It travels into those that are started.

    Attributes:
        token: what a scraper has to show, None for nothing.
        on_public_port: whether the app's own port has `/metrics`.
        folder: where the processes report, None where there is only one.
    """

    token: str | None = None
    on_public_port: bool = False
    folder: Path | None = None

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        """Give the app with `/metrics` in front of it, where that is wanted."""
        if not self.on_public_port:
            return app
        report = OwnReport() if self.folder is None else RemoteReport(self.folder)
        metrics = MetricsPage(report, self.token)

        async def with_metrics(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] == "/metrics":
                await metrics(scope, receive, send)
            else:
                await app(scope, receive, send)

        return with_metrics


class MetricsPage:
    """Metrics as Prometheus reads them: an ASGI app.

    Args:
        report: whose metrics.
        token: what has to stand behind `Bearer` in the request's `Authorization`, None for nothing.
    """

    def __init__(self, report: MetricsReport, token: str | None) -> None:
        self._report = report
        self._authorization = None if token is None else b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer a request."""
        headers = dict(scope["headers"])
        # Compared in a time that says nothing of how much of it is right.
        if self._authorization is not None and not compare_digest(
            headers.get(b"authorization", b""), self._authorization
        ):
            await _respond(send, 401, b"a token is needed: Authorization: Bearer TOKEN\n", challenge=True)
            return
        try:
            families = await self._report.metrics()
        except (OSError, TimeoutError):
            await _respond(send, 503, b"the process that adds the metrics up does not answer\n")
            return
        encode, content_type = choose_encoder(headers.get(b"accept", b"").decode("latin-1"))
        await _respond(send, 200, encode(families), content_type.encode())


class OperationsApp:
    """`/metrics`, `/healthz` and `/readyz`, on a port of their own: an ASGI app.

    Args:
        report: that of the node.
        token: what a scraper has to show, None for nothing.
    """

    def __init__(self, report: OwnReport | NodeReport, token: str | None) -> None:
        self._report = report
        self._metrics = MetricsPage(report, token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        match scope["path"]:
            case "/metrics":
                await self._metrics(scope, receive, send)
            case "/readyz":
                await answer(send, await self._report.problems())
            case "/healthz":
                await answer(send, [])
            case _:
                await _respond(send, 404, b"there are /metrics, /healthz and /readyz\n")


@contextlib.asynccontextmanager
async def operating(
    listeners: list[socket.socket], report: OwnReport | NodeReport, token: str | None
) -> AsyncIterator[None]:
    """Answer operators on sockets that listen, for the length of a block."""
    config = uvicorn.Config(
        OperationsApp(report, token), lifespan="off", ws="none", http="h11", log_config=None, date_header=False
    )
    config.access_log = False  # as an argument, it would take the app's own access log away
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(listeners)
    try:
        yield
    finally:
        for listener in server.servers:
            listener.close()
        for connection in tuple(server.server_state.connections):
            connection.shutdown()


@contextlib.asynccontextmanager
async def operating_for_node(
    listeners: list[socket.socket], folder: Path, token: str | None
) -> AsyncIterator[None]:
    """Answer operators, and the node's own processes, for all that report in `folder`."""
    report = NodeReport(folder)
    async with await report_for_node(folder, report), operating(listeners, report, token):
        yield


@contextlib.contextmanager
def in_a_thread(operate: Callable[[], AbstractAsyncContextManager[None]]) -> Iterator[None]:
    """Do something asynchronous in a thread with an event loop of its own, for the length of a block."""
    ready, end = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    problems: list[BaseException] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        async with operate():
            ready.set()
            await end.wait()

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the block begins
            problems.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="roomcast operations", daemon=True)
    thread.start()
    ready.wait()
    if problems:
        raise problems[0]
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            loops[0].call_soon_threadsafe(end.set)
        thread.join(STOP_SECONDS)


async def _respond(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes = b"text/plain; charset=utf-8",
    *,
    challenge: bool = False,
) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    if challenge:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
