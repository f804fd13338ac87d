"""The class that uvicorn loads: `uvicorn app:app --ws roomcast.server.uvicorn:WebSocketProtocol`."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote_to_bytes

from roomcast.counts import Reason, counts
from roomcast.protocol.handshake import Refusal, ServerHandshake, read_request
from roomcast.server.draining import RESTART
from roomcast.server.journal import log_end, log_refusal
from roomcast.server.request import read_head
from roomcast.server.session import Session
from roomcast.server.settings import Settings
from roomcast.server.upkeep import Upkeep

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from roomcast.protocol.negotiation import DeflateAgreement
    from roomcast.server.request import RequestHead, RequestHeaders

logger = logging.getLogger("uvicorn.error")

# What an absolute target has before its path (RFC 9112, section 3.2.2).
_ORIGIN = re.compile(rb"^[A-Za-z]+://[^/?]*")


class WebSocketProtocol(Session):
    """One connection that uvicorn has found to ask for a WebSocket.

    uvicorn constructs it, calls `connection_made` and hands the request, rebuilt, to `data_received`; from then
    on the transport does. To change the settings, set them in the environment, or subclass it:

    ```python
    class Strict(WebSocketProtocol):
        settings = Settings(handshake_timeout=2)
    ```

    Args:
        config: uvicorn's configuration.
        server_state: what uvicorn's connections share.
        app_state: what the lifespan left; each scope gets a copy.
    """

    __slots__ = ("_app_state", "_client", "_config", "_opened_at", "_path", "_scope", "_server_state")

    settings: ClassVar[Settings | None] = None
    """The limits and deadlines; None takes them from the environment."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        upkeep = upkeep_of(config, _loop or asyncio.get_running_loop(), type(self))
        super().__init__(upkeep, config.ws_max_size)
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._scope: dict[str, Any] = {}
        self._client: tuple[str, int] | None = None
        self._path = ""
        self._opened_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport from an HTTP class."""
        http: Any = transport.get_protocol()
        if getattr(http, "parser", None) is not None:
            # uvicorn's class and its parser hold each other, and both are done with this connection: without this,
            # only the garbage collector could free them.
            http.parser = None
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        super().connection_made(transport)
        flow = getattr(http, "flow", None)
        if flow is not None and flow.write_paused:
            # The peer has not read the responses before: the transport has said so already, and does so only once.
            self.pause_writing()

    def gone(self) -> None:
        """Be no connection of uvicorn's any more."""
        self._server_state.connections.discard(self)

    def requested(self, data: bytes) -> None:
        """Take the request from uvicorn's HTTP class, which has parsed it and written it again."""
        read = read_head(data)
        if read is None:
            logger.warning("Invalid HTTP request received.")  # as uvicorn's classes do, which let more pass
            self.refuse(Refusal(400, "The request is not as RFC 9112 wants it."))
        elif self._upkeep.settings.is_too_long(len(read[0].target), len(data) - len(read[1])):
            counts[Reason.REQUEST_SIZE] += 1
            self.refuse(Refusal(431, "The request's URL or its headers are too long."))
        else:
            self.asked(*read)

    def asked(self, head: RequestHead, early: bytes) -> None:
        """Take a request, and what came behind it too early."""
        answer = read_request(head.method, head.target, head.version, head.headers)
        if self._upkeep.drain.is_on:
            answer = Refusal(503, RESTART, ((b"retry-after", b"1"),))
        self._scope = self._make_scope(head.target, head.headers)
        if isinstance(answer, Refusal):
            self.answered(answer.status)
            self.refuse(answer)
            return
        self._scope["subprotocols"] = list(answer.subprotocols)
        self._server_state.tasks.add(self.ask(answer, self._config.loaded_app, self._scope))
        if early:
            self.data_received(early)

    def returned(self, task: asyncio.Task[None]) -> None:
        """Be no task of uvicorn's any more."""
        self._server_state.tasks.discard(task)

    def answered(self, status: int) -> None:
        """Note when the connection was opened; a refusal is its end, and is logged."""
        # Only now: what stands in front of the app may have found out who the client is behind a proxy.
        self._client, self._path = self._scope["client"], self._scope["path"]
        self._scope = {}
        if status == 101:
            self._opened_at = self._upkeep.loop.time()
        elif self._config.access_log:
            log_refusal(self._client, self._path, status)

    def connection_lost(self, error: Exception | None) -> None:
        """Take the end of the transport, and log it where the connection was open."""
        super().connection_lost(error)
        if self._opened_at and self._config.access_log:
            seconds = self._upkeep.loop.time() - self._opened_at
            log_end(self, self._client, self._path, self._end_reason, seconds)

    def response_headers(self) -> list[tuple[bytes, bytes]]:
        """Give uvicorn's headers, such as Server and Date."""
        return self._server_state.default_headers

    def agree_on_deflate(self, handshake: ServerHandshake) -> DeflateAgreement | None:
        """Agree on compression, unless uvicorn is told not to."""
        return super().agree_on_deflate(handshake) if self._config.ws_per_message_deflate else None

    def _make_scope(self, target: bytes, headers: RequestHeaders) -> dict[str, Any]:
        transport = self._transport
        raw_path, _, query_string = _ORIGIN.sub(b"", target).partition(b"?")
        raw_path = raw_path or b"/"
        root_path = self._config.root_path
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "ws" if transport.get_extra_info("sslcontext") is None else "wss",
            "server": self._upkeep.shared(_server_address(transport.get_extra_info("sockname"))),
            "client": _client_address(transport.get_extra_info("peername")),
            "root_path": root_path,
            "path": root_path + unquote_to_bytes(raw_path).decode(errors="replace"),
            "raw_path": root_path.encode() + raw_path,
            "query_string": query_string,
            "headers": headers,
            "subprotocols": [],
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}, "roomcast.outlet": {"outlet": self}},
        }


def _server_address(sockname: Any) -> tuple[str, int | None] | None:  # noqa: ANN401 - whatever the family has
    """Give the scope's `server`: host and port, or the path of a Unix socket and None."""
    if isinstance(sockname, tuple):
        return sockname[0], int(sockname[1])
    return (sockname, None) if isinstance(sockname, str) and sockname else None


def _client_address(peername: Any) -> tuple[str, int] | None:  # noqa: ANN401 - whatever the family has
    """Give the scope's `client`: host and port, None for a Unix socket."""
    return (peername[0], int(peername[1])) if isinstance(peername, tuple) else None


def upkeep_of(
    config: Config, loop: asyncio.AbstractEventLoop, kind: type[WebSocketProtocol] | None = None
) -> Upkeep:
    """Give what the connections of one server share, made for the first of them.

    Args:
        config: uvicorn's configuration.
        loop: the event loop.
        kind: the class of WebSockets, which may have settings of its own; that of the configuration, unless given.
    """
    if kind is None:
        loaded = config.ws_protocol_class
        kind = loaded if loaded is not None and issubclass(loaded, WebSocketProtocol) else WebSocketProtocol
    shared: dict[Any, Upkeep] = config.__dict__.setdefault("_roomcast_upkeep", {})
    upkeep = shared.get((kind, loop))
    if upkeep is None:
        settings = kind.settings or Settings.from_environment()
        patience = config.timeout_graceful_shutdown
        upkeep = shared[kind, loop] = Upkeep(
            loop,
            settings,
            ping_interval=config.ws_ping_interval,
            ping_timeout=config.ws_ping_timeout,
            drain=settings.drain if patience is None else min(settings.drain, patience),
        )
    return upkeep


Settings.from_environment()  # so that a bad value stops the server where it starts, not at its first connection
