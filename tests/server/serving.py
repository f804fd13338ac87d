"""A real uvicorn on a real socket, in the event loop of the test, and apps that the test itself plays."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import uvicorn

from roomcast.server.settings import Settings
from roomcast.server.uvicorn import WebSocketProtocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TIMEOUT = 10.0
"""How many seconds a wait may take: far more than it needs, on a loaded machine too."""

ACCEPT = {"type": "websocket.accept"}
CONNECT = {"type": "websocket.connect"}


class Log(logging.Handler):
    """What was logged."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    def complaints(self) -> list[str]:
        """Give the warnings and errors, and forget them."""
        found = [_text(record) for record in self._records if record.levelno >= logging.WARNING]
        self._records = [record for record in self._records if record.levelno < logging.WARNING]
        return found

    def infos(self) -> list[str]:
        """Give the rest."""
        return [record.getMessage() for record in self._records if record.levelno < logging.WARNING]


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage().strip()
    if record.exc_info is not None:
        text += f"\n{logging.Formatter().formatException(record.exc_info)}"
    return text


class Call:
    """One call of the app, played by the test: it receives and sends, and says how the app ends.

    Attributes:
        scope: the scope that the app was called with.
    """

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scope = scope
        self.raw_receive = receive
        self.raw_send = send
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]

    @property
    def outlet(self) -> Any:
        """The server's outlet."""
        return self.scope["extensions"]["roomcast.outlet"]["outlet"]

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT):
            event: dict[str, Any] = await self.raw_receive()
        return event

    async def send(self, event: dict[str, Any]) -> None:
        async with asyncio.timeout(TIMEOUT):
            await self.raw_send(event)

    async def text(self, text: str) -> None:
        await self.send({"type": "websocket.send", "text": text})

    async def accept(self, **more: Any) -> None:
        assert await self.receive() == CONNECT
        await self.send(ACCEPT | more)

    async def disconnected(self) -> tuple[int, str]:
        """Receive until the disconnect, and give its code and reason."""
        event = await self.receive()
        while event["type"] == "websocket.receive":
            event = await self.receive()
        assert set(event) == {"type", "code", "reason"}
        assert event["type"] == "websocket.disconnect"
        return event["code"], event["reason"]

    def finish(self) -> None:
        """Have the app return."""
        if not self.end.done():
            self.end.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Have the app raise."""
        self.end.set_exception(error)


class Calls:
    """An app that leaves each of its calls to the test."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[Call] = asyncio.Queue()
        self._all: list[Call] = []

    @property
    def count(self) -> int:
        """How often it was called."""
        return len(self._all)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        call = Call(scope, receive, send)
        self._all.append(call)
        self._calls.put_nowait(call)
        await call.end

    async def next(self) -> Call:
        """Wait for the next call."""
        async with asyncio.timeout(TIMEOUT):
            return await self._calls.get()

    def finish(self) -> None:
        for call in self._all:
            call.finish()


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Send back what comes."""
    assert scope["type"] == "websocket"
    await receive()
    await send(ACCEPT)
    while (event := await receive())["type"] == "websocket.receive":
        await send(event | {"type": "websocket.send"})


class Serving:
    """A server that serves.

    Attributes:
        server: uvicorn's.
        app: what it serves.
        address: where: host and port, or the path of a Unix socket.
    """

    def __init__(self, server: uvicorn.Server, app: Any, address: Any) -> None:
        self.server = server
        self.app = app
        self.address = address
        self._stopped = False

    @property
    def url(self) -> str:
        return f"ws://{self.address[0]}:{self.address[1]}"

    async def call(self) -> Call:
        """Wait for the next call of an app that is `Calls`."""
        call: Call = await self.app.next()
        return call

    @property
    def sessions(self) -> set[Any]:
        """uvicorn's connections."""
        return self.server.server_state.connections

    async def idle(self) -> None:
        """Wait until no connection and no app is left."""
        state = self.server.server_state
        async with asyncio.timeout(TIMEOUT):
            while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody of their end
                await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Stop as uvicorn does on SIGTERM."""
        self._stopped = True
        async with asyncio.timeout(TIMEOUT):
            await self.server.shutdown()

    async def end(self) -> None:
        """Stop without uvicorn's pauses, and see that nothing is left."""
        if self._stopped:
            return
        for listener in self.server.servers:
            listener.close()
        for connection in list(self.sessions):
            connection.shutdown()
        if isinstance(self.app, Calls):
            self.app.finish()
        await self.idle()


class Serve(Protocol):
    """Starts a server: see `serving`."""

    def __call__(self, app: Any, **options: Any) -> AbstractAsyncContextManager[Serving]: ...


def protocol_with(**settings: Any) -> type[WebSocketProtocol]:
    """Make the class that uvicorn loads, with settings of its own."""
    settings.setdefault("close_timeout", 2.0)

    class Configured(WebSocketProtocol):
        __slots__ = ()
        settings_of_the_test = settings

    Configured.settings = Settings(**settings)
    return Configured


@asynccontextmanager
async def serving(
    app: Any,
    *,
    settings: dict[str, Any] | None = None,
    uds: str | None = None,
    send_buffer: int | None = None,
    **config: Any,
) -> AsyncIterator[Serving]:
    """Serve an app.

    Args:
        app: the app, or a class for `Calls`.
        settings: the server half's settings.
        uds: the path of a Unix socket to listen on.
        send_buffer: how many bytes the kernel is to keep for a peer that does not read.
        config: uvicorn's configuration.
    """
    config.setdefault("ws", protocol_with(**(settings or {})))
    config.setdefault("lifespan", "off")
    config.setdefault("ws_ping_interval", None)
    listener: socket.socket | None = None
    if uds is None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    configuration = uvicorn.Config(app, log_config=None, uds=uds, **config)
    configuration.load()
    server = uvicorn.Server(configuration)
    server.lifespan = configuration.lifespan_class(configuration)
    await server.startup(None if listener is None else [listener])
    await server.on_tick(0)
    served = Serving(server, app, uds if listener is None else listener.getsockname())
    try:
        yield served
        await served.end()
    finally:
        for task in list(server.server_state.tasks):
            task.cancel()
        for asyncio_server in server.servers:
            asyncio_server.close()
        with contextlib.suppress(OSError):
            if listener is not None:
                listener.close()
