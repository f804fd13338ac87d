"""uvicorn's HTTP class, with bounds on what a request may be, and on how long it may take to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from roomcast.counts import Reason, counts
from roomcast.protocol.handshake import Refusal

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from roomcast.server.upkeep import Upkeep

LATE_BYTES = 1024 * 1024
"""How much is read, and thrown away, of what comes after a refusal: then the client is cut off."""
REQUEST_TIMEOUT = Refusal(408, "The request did not come to its end in time.")


class BoundedRequests(HttpToolsProtocol):
    """Serves HTTP as uvicorn does, to requests whose URL and headers are not too long, and come in time.

    Between its requests a connection waits for the next for as long as uvicorn says (`--timeout-keep-alive`).

    Args:
        config: uvicorn's configuration.
        server_state: what uvicorn's connections share.
        app_state: what the lifespan left.
        upkeep: the limits and deadlines.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
        upkeep: Upkeep,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._upkeep = upkeep
        self._max_url = upkeep.settings.max_url_bytes
        self._max_head = upkeep.settings.max_header_bytes
        self._head_bytes = 0
        self._raw_bytes = 0
        self._is_in_head = True
        self._has_begun = False
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the transport, on which the first request has begun."""
        super().connection_made(transport)
        self._upkeep.waiting.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the transport."""
        self._upkeep.waiting.discard(self)
        self._upkeep.closings.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came. What the parser keeps to itself until it is whole, such as a header, is counted too."""
        if self._is_refused:
            self._receive_late(data)
            return
        was_in_head, self._has_begun = self._is_in_head, False
        super().data_received(data)
        if was_in_head and self._is_in_head and not self._has_begun:
            self._raw_bytes += len(data)
            if self._max_head is not None and self._raw_bytes > self._max_head + (self._max_url or 0):
                self._refuse_head()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket class."""
        if not self._is_refused:
            self._upkeep.waiting.discard(self)
            super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._is_refused:
            self._head_bytes = self._raw_bytes = 0
            self._is_in_head = self._has_begun = True
            self._upkeep.waiting.add(self)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        super().on_url(url)
        if self._max_url is not None and len(self.url) > self._max_url:
            self._refuse(Refusal(414, f"A URL has {self._max_url} bytes at the most."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value) + 4  # and a colon, a space and the line's end
        if self._max_head is not None and self._head_bytes > self._max_head:
            self._refuse_head()

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        if not self._is_refused:
            self._is_in_head = False
            self._upkeep.waiting.discard(self)
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of the body."""
        if not self._is_refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.timeout_keep_alive_task is not None:
            self._upkeep.waiting.add(self)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request."""
        self._upkeep.waiting.discard(self)
        if not self._is_refused:
            super().send_400_response(msg)

    def request_is_late(self) -> None:
        """The request did not come to its end in time. Between requests, uvicorn's own timer ends the wait."""
        if self._is_in_head:
            counts[Reason.REQUEST_TIMEOUT] += 1
            self._end(REQUEST_TIMEOUT)
        else:
            self._upkeep.waiting.add(self)

    def make_room(self) -> None:
        """Close the connection: too many wait for a request."""
        self.transport.close()

    def closing_is_late(self) -> None:
        """The client did not end the connection in time, after it was refused."""
        self.transport.abort()

    def _refuse_head(self) -> None:
        self._refuse(Refusal(431, f"A request's headers have {self._max_head} bytes at the most."))

    def _refuse(self, refusal: Refusal) -> None:
        if not self._is_refused:
            counts[Reason.REQUEST_SIZE] += 1
            self._end(refusal)

    def _end(self, refusal: Refusal) -> None:
        """Answer, and end this side only: the client may be sending still, and is to read the answer."""
        self._is_refused = True
        self._upkeep.waiting.discard(self)
        headers = (*refusal.headers, *self.server_state.default_headers)
        self.transport.write(Refusal(refusal.status, refusal.text, headers).response())
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._upkeep.closings.add(self)
        else:
            self.transport.close()

    def _receive_late(self, data: bytes) -> None:
        self._raw_bytes += len(data)
        if self._raw_bytes > LATE_BYTES:
            self.transport.abort()
