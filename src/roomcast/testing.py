"""For tests of real-time apps: a connection without a network, and a real server on a free port.

Everything that waits has a deadline: a test that hangs says where.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote

import uvicorn

from roomcast import jsontext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from types import TracebackType

    from starlette.types import ASGIApp, Message

TIMEOUT = 5.0
"""How many seconds everything here waits, unless told otherwise."""


class TestConnection:
    """A client's end of a WebSocket that is led straight to an ASGI app.

    Attributes:
        scope: the scope that the app was called with.
        accepted: whether the app accepted the connection.
        subprotocol: the subprotocol that it accepted with.
        response_headers: the headers that it accepted or refused with.
        close_code: the code that the app closed with, or None.
        close_reason: the reason that it closed with.
        denial_status: the HTTP status that it refused with, or None.
        denial_body: the HTTP body that it refused with.
    """

    __test__ = False  # not a test, whatever pytest thinks of its name

    def __init__(self, app: ASGIApp, scope: dict[str, Any], timeout: float) -> None:
        self.scope = scope
        self.accepted = False
        self.subprotocol: str | None = None
        self.response_headers: list[tuple[bytes, bytes]] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self.denial_status: int | None = None
        self.denial_body = b""
        self._timeout = timeout
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: deque[Message] = deque()
        self._news = asyncio.Event()
        self._disconnected = False
        self._stalled = asyncio.Event()
        self._stalled.set()
        self._app = asyncio.ensure_future(app(scope, self._to_app.get, self._take))
        self._app.add_done_callback(lambda _task: self._news.set())

    async def open(self) -> Self:
        """Ask for the connection, and wait for the app's answer."""
        self._to_app.put_nowait({"type": "websocket.connect"})
        try:
            await self._take_the_answer()
        except BaseException:
            await _stop(self._app, self._timeout)
            raise
        return self

    async def _take_the_answer(self) -> None:
        event = await self._next("an answer to the handshake")
        while event["type"] == "websocket.http.response.start":
            self.denial_status = event["status"]
            self.response_headers = list(event.get("headers", ()))
            event = await self._next("the rest of the refusal")
        match event["type"]:
            case "websocket.accept":
                self.accepted = True
                self.subprotocol = event.get("subprotocol")
                self.response_headers = list(event.get("headers", ()))
            case "websocket.close":
                self._note_close(event)
            case "websocket.http.response.body":
                self.denial_body += event.get("body", b"")
                while event.get("more_body"):
                    event = await self._next("the rest of the refusal")
                    self.denial_body += event.get("body", b"")
            case "done":
                await self._raise_what_the_app_raised()
                raise AssertionError("the app returned without an answer to the handshake")
            case unexpected:
                raise AssertionError(f"the app sent {unexpected!r} before an answer to the handshake")

    async def send(self, data: str | bytes) -> None:
        """Send a message to the app."""
        kind = "text" if isinstance(data, str) else "bytes"
        self._to_app.put_nowait({"type": "websocket.receive", kind: data})

    async def send_json(self, value: Any) -> None:  # noqa: ANN401 - whatever JSON can carry
        """Send a text message of JSON to the app."""
        await self.send(jsontext.dumps(value))

    async def receive(self) -> str | bytes:
        """Wait for a message of the app.

        Raises:
            TimeoutError: if none comes.
            ConnectionError: if the app closes, or returns, instead.
        """
        event = await self._next("a message")
        if event["type"] == "websocket.send":
            text: str | None = event.get("text")
            return event["bytes"] if text is None else text
        if event["type"] == "websocket.close":
            self._note_close(event)
            raise ConnectionError(f"the app closed: {self.close_code} {self.close_reason}".rstrip())
        await self._raise_what_the_app_raised()
        raise ConnectionError("the app returned")

    async def receive_json(self) -> Any:  # noqa: ANN401
        """Wait for a message of the app, and read it as JSON."""
        return json.loads(await self.receive())

    async def receives_nothing(self) -> bool:
        """Let the app go as far as it goes by itself, and say whether it left no message."""
        for _ in range(10):
            await asyncio.sleep(0)
        return not self._from_app

    async def closed(self) -> int:
        """Wait until the app closes, and give the close code. Messages before it are passed over."""
        while self.close_code is None:
            event = await self._next("a close")
            if event["type"] == "websocket.close":
                self._note_close(event)
            elif event["type"] == "done":
                await self._raise_what_the_app_raised()
                raise AssertionError("the app returned without a close")
        return self.close_code

    async def disconnect(self, code: int = 1005, reason: str = "") -> None:
        """End the connection from the client's side, and wait until the app has returned."""
        if not self._disconnected:
            self._disconnected = True
            self._stalled.set()
            self._to_app.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        await self.finished()

    async def finished(self) -> None:
        """Wait until the app has returned; raises what it raised."""
        await asyncio.wait_for(asyncio.shield(self._app), self._timeout)

    def stall(self) -> None:
        """Read nothing more: from now on the app's `send` waits."""
        self._stalled.clear()

    def resume(self) -> None:
        """Read again after `stall`."""
        self._stalled.set()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.disconnect()
        else:
            await _stop(self._app, self._timeout)

    async def _take(self, event: Message) -> None:
        await self._stalled.wait()
        if self._disconnected:
            raise OSError("the client has gone")  # ASGI: a subclass of OSError after a disconnect
        self._from_app.append(event)
        self._news.set()

    async def _next(self, what: str) -> Message:
        """Give the app's next event, or a "done" of our own once it has returned and left no other."""
        try:
            async with asyncio.timeout(self._timeout):
                while not self._from_app and not self._app.done():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"waited {self._timeout:g} s for {what} of the app, and none came") from None
        return self._from_app.popleft() if self._from_app else {"type": "done"}

    async def _raise_what_the_app_raised(self) -> None:
        if self._app.done():
            await self._app

    def _note_close(self, event: Message) -> None:
        self.close_code = event.get("code", 1000)
        self.close_reason = event.get("reason") or ""


def connect(
    app: ASGIApp,
    path: str = "/",
    *,
    headers: Iterable[tuple[str, str]] = (),
    subprotocols: Iterable[str] = (),
    denial: bool = True,
    timeout: float = TIMEOUT,
) -> TestConnection:
    """Connect to an ASGI app without a network.

    ```python
    async with connect(app, "/ws/echo") as client:
        await client.send("hi")
        assert await client.receive() == "Echo: hi"
    ```

    Args:
        app: the app.
        path: path and query string, percent-encoded where it must be.
        headers: the request's headers.
        subprotocols: what the client offers.
        denial: whether the server offers ASGI's `websocket.http.response`.
        timeout: the deadline of everything that waits, in seconds.
    """
    raw_path, _, query = path.partition("?")
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers]
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": quote(query, safe="%&=+,;:@!$'()*/?~-._").encode(),
        "root_path": "",
        "headers": [(b"host", b"testserver"), *pairs],
        "client": ("127.0.0.1", 12345),
        "server": ("testserver", 80),
        "subprotocols": list(subprotocols),
        "state": {},
        "extensions": {"websocket.http.response": {}} if denial else {},
    }
    return TestConnection(app, scope, timeout)


@contextlib.asynccontextmanager
async def lifespan(app: ASGIApp, *, timeout: float = TIMEOUT) -> AsyncIterator[None]:
    """Run an app's lifespan around a block, for connections without a network."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    try:
        await _ask(to_app, from_app, task, "startup", timeout)
        try:
            yield
        finally:
            await _ask(to_app, from_app, task, "shutdown", timeout)
            await asyncio.wait_for(task, timeout)
    finally:
        await _stop(task, timeout)


async def _ask(
    to_app: asyncio.Queue[Message],
    from_app: asyncio.Queue[Message],
    task: asyncio.Future[None],
    what: str,
    timeout: float,
) -> None:
    to_app.put_nowait({"type": f"lifespan.{what}"})
    answer = asyncio.ensure_future(from_app.get())
    waited_for: list[asyncio.Future[Any]] = [answer, task]
    await asyncio.wait(waited_for, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        if task.done():
            await task
        raise RuntimeError(f"the app gave no answer to lifespan.{what}")
    if answer.result()["type"] != f"lifespan.{what}.complete":
        raise RuntimeError(f"the app answered {answer.result()}")


async def _stop(app: asyncio.Future[None], timeout: float) -> None:
    """Cancel an app that was given up, and wait until it has returned; what it raises is of no interest now."""
    app.cancel()
    await asyncio.wait([app], timeout=timeout)
    if app.done() and not app.cancelled():
        app.exception()


class _Server(uvicorn.Server):
    """A uvicorn that tells another thread when it serves, or has given up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answered = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.answered.set()


class LiveServer:
    """An app on a real uvicorn, on a free port of the loopback interface, in a thread of its own.

    ```python
    with LiveServer(app) as server:
        connect(server.ws_url + "/ws/echo")
    ```

    Args:
        app: the app.
        settings: further settings of `uvicorn.Config`, such as `ws=`.
    """

    def __init__(self, app: ASGIApp, **settings: Any) -> None:  # noqa: ANN401 - uvicorn's
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._socket.getsockname()[1]
        """The port it listens on."""
        defaults = {
            "log_level": "warning",
            "lifespan": "on",
            "ws": "roomcast.server.uvicorn:WebSocketProtocol",
            "timeout_graceful_shutdown": int(TIMEOUT),
        }
        self._server = _Server(uvicorn.Config(app, **{**defaults, **settings}))
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """Where it is, for HTTP: http://127.0.0.1:PORT."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where it is, for WebSockets: ws://127.0.0.1:PORT."""
        return f"ws://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._server.answered.wait(TIMEOUT * 4) or not self._server.started:
            self._stop()
            raise RuntimeError("the app did not start; the log says why")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()
        if self._thread.is_alive():
            raise TimeoutError("the server did not stop in time")

    def _run(self) -> None:
        try:
            self._server.run([self._socket])
        except SystemExit:
            return  # uvicorn's way to end where the app does not start; it has logged why
        finally:
            self._server.answered.set()

    def _stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(TIMEOUT * 4)
        self._socket.close()
