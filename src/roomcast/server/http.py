"""The HTTP class that uvicorn may load: `--http roomcast.server.http:HTTPProtocol`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from roomcast.counts import Reason, counts
from roomcast.protocol.headers import elements
from roomcast.server.request import read_head
from roomcast.server.requests import BoundedRequests
from roomcast.server.uvicorn import WebSocketProtocol, upkeep_of

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from roomcast.server.request import RequestHead


class HTTPProtocol(asyncio.Protocol):
    """Looks at a connection's first bytes, and hands the connection to who serves it.

    A whole request for a WebSocket goes to our own class as it came. All else goes to uvicorn's HTTP class,
    which also hands over WebSockets whose request came in pieces, or is not as it should be. That class parses
    each of its requests, writes it again, and has it parsed once more. A connection on which no request comes in
    time, or one with too long a URL or headers, is closed; so are the oldest of those that wait, where they are
    too many.

    Args:
        config: uvicorn's configuration.
        server_state: what uvicorn's connections share.
        app_state: what the lifespan left.
    """

    __slots__ = ("_app_state", "_config", "_loop", "_server_state", "_transport", "_upkeep")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._loop = _loop
        self._transport: Any = None
        self._upkeep = upkeep_of(config, _loop or asyncio.get_running_loop())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection."""
        self._transport = transport
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        self._upkeep.waiting.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget a connection on which nothing came."""
        self._server_state.connections.discard(self)
        self._upkeep.waiting.discard(self)

    def shutdown(self) -> None:
        """Close a connection on which nothing has come: the server goes."""
        self._transport.close()

    def request_is_late(self) -> None:
        """Nothing has come in time."""
        counts[Reason.REQUEST_TIMEOUT] += 1
        self._transport.close()

    def make_room(self) -> None:
        """Close the connection: too many wait for a request."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Hand the connection over."""
        self._server_state.connections.discard(self)
        self._upkeep.waiting.discard(self)
        websocket = self._config.ws_protocol_class
        if websocket is not None and issubclass(websocket, WebSocketProtocol) and b"ebsocket" in data:
            read = read_head(data)
            if (
                read is not None
                and _asks_for_a_websocket(read[0])
                and not self._upkeep.settings.is_too_long(len(read[0].target), len(data) - len(read[1]))
            ):
                protocol = websocket(self._config, self._server_state, self._app_state, self._loop)
                protocol.connection_made(self._transport)
                self._transport.set_protocol(protocol)
                protocol.asked(*read)
                return
        http = BoundedRequests(self._config, self._server_state, self._app_state, self._loop, self._upkeep)
        http.connection_made(self._transport)
        self._transport.set_protocol(http)
        http.data_received(data)


def _asks_for_a_websocket(head: RequestHead) -> bool:
    """Whether uvicorn would ask its WebSocket class: `Connection: Upgrade` and `Upgrade: websocket`."""
    upgrade = connection = False
    for name, value in head.headers:
        if name == b"upgrade":
            upgrade = value.lower() == b"websocket"
        elif name == b"connection":
            connection = value == b"Upgrade" or any(each.lower() == "upgrade" for each in elements((value,)))
    return upgrade and connection
