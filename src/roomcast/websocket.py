"""WebSocket: a pleasant face on an ASGI scope, receive and send, whatever server or framework they come from."""

from __future__ import annotations

import asyncio
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.datastructures import Address, Headers, QueryParams
from starlette.requests import cookie_parser

from roomcast import jsontext
from roomcast.close_codes import CloseCode
from roomcast.errors import (
    Disconnected,
    InvalidHandshake,
    InvalidJSON,
    OutOfOrder,
    ReceiveTimeout,
    UnexpectedMessage,
    UnsupportedData,
)
from roomcast.sendable import check_close, check_utf8, encode_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from starlette.types import Message, Receive, Scope, Send


TOKEN_SUBPROTOCOL = "roomcast.token."  # noqa: S105 - with what one begins
"""With what a subprotocol begins that is none, but brings a token: a page's script can set no header."""


class _State(Enum):
    """Where the connection is, in the words of the errors."""

    CONNECTING = "not accepted yet: call accept() or reject() first"
    ASKED = "not accepted yet: call accept() or reject()"
    OPEN = "open already"
    REJECTED = "rejected already"
    CLOSED = "over"


class WebSocket:
    """One WebSocket connection of an ASGI app.

    ```python
    async def application(scope, receive, send):
        ws = WebSocket(scope, receive, send)
        await ws.accept()
        async for message in ws:
            await ws.send(message)
    ```

    One task may receive while others send.

    Args:
        scope: the ASGI connection scope, of type "websocket".
        receive: the ASGI receive callable.
        send: the ASGI send callable.
        accepted: that something else, such as a framework, has accepted the connection already.

    Raises:
        OutOfOrder: if the scope is not a WebSocket's.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, accepted: bool = False) -> None:
        if scope.get("type") != "websocket":
            raise OutOfOrder(f"expected a scope of type 'websocket', but it is {scope.get('type')!r}")
        self.scope = scope
        self._receive = receive
        self._send = send
        self._state = _State.OPEN if accepted else _State.CONNECTING
        self.subprotocol: str | None = None
        """The subprotocol that was accepted, if any."""
        self.close_code: int | None = None
        """How the connection ended: 1005 where the close frame had no code, 1006 where there was no close frame;
        None while it has not ended, as far as was heard."""
        self.close_reason: str = ""
        """Why the connection ended, if the side that ended it said so."""

    @property
    def asgi(self) -> tuple[Scope, Receive, Send]:
        """The scope, receive and send underneath."""
        return self.scope, self._receive, self._send

    def receive_from(self, receive: Receive) -> None:
        """Have `receive` called from now on, which stands in front of the ASGI receive callable."""
        self._receive = receive

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        path: str = self.scope["path"]
        return path

    @cached_property
    def headers(self) -> Headers:
        """The request's headers: case-insensitive, a header given several times by `getlist`."""
        return Headers(scope=self.scope)

    @cached_property
    def query(self) -> QueryParams:
        """The query parameters, percent-decoded: the last of a name, or all by `getlist`."""
        return QueryParams(self.scope.get("query_string", b""))

    @cached_property
    def cookies(self) -> dict[str, str]:
        """The cookies of the request."""
        cookies: dict[str, str] = {}
        for header in self.headers.getlist("cookie"):
            cookies.update(cookie_parser(header))
        return cookies

    @property
    def client(self) -> Address | None:
        """The peer's host and port, or None where the server does not know, as behind a Unix socket."""
        client = self.scope.get("client")
        return None if client is None else Address(*client)

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, in its order of preference, without what brings a token."""
        offered = self.scope.get("subprotocols", ())
        return [subprotocol for subprotocol in offered if not subprotocol.startswith(TOKEN_SUBPROTOCOL)]

    @property
    def state(self) -> dict[str, Any]:
        """What the lifespan left for its requests; a place for the app's own things, too."""
        state: dict[str, Any] = self.scope.setdefault("state", {})
        return state

    @property
    def accepted(self) -> bool:
        """Whether the handshake was answered with an acceptance, by this side."""
        return self._state is _State.OPEN

    async def accept(
        self,
        subprotocol: str | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> None:
        """Accept the connection.

        Args:
            subprotocol: one of those that the client offers.
            headers: headers for the response; a name may come several times in a sequence of pairs.

        Raises:
            OutOfOrder: if it was accepted or rejected already.
            InvalidHandshake: for a subprotocol that was not offered, or a header that cannot be.
            Disconnected: if the client has gone.
        """
        await self._await_connect("accept()")
        if subprotocol is not None and subprotocol not in self.subprotocols:
            offered = ", ".join(map(repr, self.subprotocols)) or "none"
            raise InvalidHandshake(f"subprotocol {subprotocol!r} was not offered; the client offers {offered}")
        await self._send_event(
            {"type": "websocket.accept", "subprotocol": subprotocol, "headers": encode_headers(headers)}
        )
        if self._state is not _State.ASKED:
            self._refuse("accept()")  # something else has closed it meanwhile
        self._state = _State.OPEN
        self.subprotocol = subprotocol

    async def reject(
        self,
        code: int = CloseCode.FORBIDDEN,
        reason: str = "",
        *,
        status: int = 403,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        after_accept: bool = False,
    ) -> None:
        """Turn the connection away instead of accepting it.

        The client gets an HTTP response with `status` and a short JSON body of `code` and `reason` where the
        server offers ASGI's `websocket.http.response`; elsewhere `websocket.close`, which servers answer with
        status 403. A page in a browser can see neither; `after_accept` is for pages.

        Args:
            code: the close code.
            reason: why, at most 123 bytes of UTF-8.
            status: the HTTP status, 400 to 599.
            headers: headers for that response, such as Retry-After.
            after_accept: accept first and close then, so that the client sees `code` and `reason`.

        Raises:
            OutOfOrder: if it was accepted or rejected already.
            InvalidClose: for a code or reason that may not be sent.
            InvalidHandshake: for a status that is no refusal, or a header that cannot be.
            Disconnected: if the client has gone.
        """
        check_close(code, reason)
        if not isinstance(status, int) or not 400 <= status <= 599:
            raise InvalidHandshake(f"status {status!r} does not refuse anything; use 400 to 599")
        await self._await_connect("reject()")
        if after_accept:
            # A browser that offers subprotocols takes an acceptance of none of them as a failed connection.
            await self.accept(next(iter(self.subprotocols), None))
            await self.close(code, reason)
            return
        if "websocket.http.response" in self.scope.get("extensions", {}):
            body = jsontext.dumps({"code": int(code), "reason": reason}).encode()
            own = encode_headers({"content-type": "application/json", "content-length": str(len(body))})
            start = {"type": "websocket.http.response.start", "status": status}
            await self._send_event({**start, "headers": own + encode_headers(headers)})
            await self._send_event({"type": "websocket.http.response.body", "body": body})
        else:
            await self._send_event({"type": "websocket.close", "code": int(code), "reason": reason})
        self._end(_State.REJECTED, code, reason)

    async def receive(self, timeout: float | None = None) -> str | bytes:
        """Wait for the next message: `str` for a text message, `bytes` for a binary one.

        Args:
            timeout: a deadline in seconds; 0 takes what is there already. None waits for ever.

        Raises:
            ReceiveTimeout: if nothing came in time. Nothing is lost by it.
            Disconnected: if the connection is over.
            OutOfOrder: if it was not accepted.
        """
        if self._state is not _State.OPEN:
            self._refuse("receive()")
        event = await (self._receive() if timeout is None else self._receive_event(timeout))
        text = event.get("text")
        if isinstance(text, str) and event.get("type") == "websocket.receive":
            return text  # what nearly all are
        match event:
            case {"type": "websocket.receive", "bytes": bytes() | bytearray() | memoryview() as data}:
                return bytes(data)
            case {"type": "websocket.disconnect"}:
                self._end(_State.CLOSED, event.get("code") or CloseCode.NO_STATUS, event.get("reason") or "")
                self._refuse("receive()")
        raise OutOfOrder(f"expected 'websocket.receive' or 'websocket.disconnect', but the server gave {event!r}")

    async def receive_text(self, timeout: float | None = None) -> str:
        """Wait for the next message, which must be text.

        Raises:
            UnexpectedMessage: if it is binary. And whatever `receive` raises.
        """
        message = await self.receive(timeout)
        if not isinstance(message, str):
            raise UnexpectedMessage("text", message)
        return message

    async def receive_bytes(self, timeout: float | None = None) -> bytes:
        """Wait for the next message, which must be binary.

        Raises:
            UnexpectedMessage: if it is text. And whatever `receive` raises.
        """
        message = await self.receive(timeout)
        if isinstance(message, str):
            raise UnexpectedMessage("binary", message)
        return message

    async def receive_json(self, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Wait for the next message, which must be text, and JSON.

        Raises:
            InvalidJSON: if it is not JSON. And whatever `receive_text` raises.
        """
        text = await self.receive_text(timeout)
        try:
            return jsontext.loads(text)
        except ValueError as error:
            raise InvalidJSON(text, str(error)) from None

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Iterate over the messages; the loop ends at the disconnect, and `close_code` says how it came."""
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except Disconnected:
            raise StopAsyncIteration from None

    async def send(self, data: str | bytes) -> None:
        """Send a message: text for `str`, binary for `bytes` and its kin.

        Raises:
            UnsupportedData: for anything else, and for a str that has no UTF-8 (a lone surrogate).
            Disconnected: if the connection is over.
            OutOfOrder: if it was not accepted.
        """
        if self._state is not _State.OPEN:
            self._refuse("send()")
        if isinstance(data, str):
            if not data.isascii():
                check_utf8(data)
            await self._send_event({"type": "websocket.send", "text": data})
        elif isinstance(data, bytes | bytearray | memoryview):
            await self._send_event({"type": "websocket.send", "bytes": bytes(data)})
        else:
            kind = type(data).__name__
            raise UnsupportedData(f"send() takes str or bytes, not {kind}; send_json() takes what JSON can carry")

    async def send_json(self, value: Any) -> None:  # noqa: ANN401
        """Send `value` as a text message of JSON.

        Raises:
            UnsupportedData: if JSON cannot carry it. And whatever `send` raises.
        """
        try:
            text = jsontext.dumps(value)
        except (TypeError, ValueError) as error:
            raise UnsupportedData(f"send_json() cannot write this as JSON: {error}") from None
        await self.send(text)

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the connection. Does nothing where it is over already, whoever ended it.

        Args:
            code: the close code.
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            InvalidClose: for a code or reason that may not be sent.
            OutOfOrder: if it was not accepted; `reject()` turns a connection away.
        """
        check_close(code, reason)
        if self._state in {_State.CLOSED, _State.REJECTED}:
            return
        if self._state is not _State.OPEN:
            self._refuse("close()")
        self._end(_State.CLOSED, code, reason)
        try:
            await self._send_event({"type": "websocket.close", "code": int(code), "reason": reason})
        except Disconnected:
            return  # The peer was faster: it is over, which is all that was asked for.

    def mark_closed(self, code: int, reason: str = "") -> None:
        """Note that something else, which shares the ASGI `send`, has closed the connection, if it is not over."""
        self._end(_State.CLOSED, code, reason)

    async def _await_connect(self, call: str) -> None:
        """Receive the event that every connection starts with, before the first answer to it."""
        if self._state is _State.CONNECTING:
            event = await self._receive()
            kind = event.get("type")
            if kind == "websocket.disconnect":
                self._end(_State.CLOSED, event.get("code") or CloseCode.ABNORMAL, event.get("reason") or "")
            elif kind != "websocket.connect":
                raise OutOfOrder(f"expected 'websocket.connect' first, but the server gave {kind!r}")
            elif self._state is _State.CONNECTING:
                self._state = _State.ASKED
        if self._state is not _State.ASKED:
            self._refuse(call)

    async def _receive_event(self, seconds: float) -> Message:
        try:
            async with asyncio.timeout(seconds) as deadline:
                return await self._receive()
        except TimeoutError:
            if not deadline.expired():
                raise  # the server's own
            raise ReceiveTimeout(seconds) from None

    async def _send_event(self, event: Message) -> None:
        try:
            await self._send(event)
        except OSError as error:
            # ASGI: "send must raise a subclass of OSError" after a disconnect. The code is the event's to tell,
            # once the connection was accepted: before, nothing more is received.
            if self._state is _State.ASKED:
                self._end(_State.CLOSED, CloseCode.ABNORMAL, "")
            raise Disconnected(CloseCode.ABNORMAL) from error
        except RuntimeError as error:
            # Where uvicorn ends a connection by itself (a ping without an answer, a broken frame), it says of what
            # is sent until the socket has gone that it comes "after sending 'websocket.close'". That was not here.
            if "websocket.close" not in str(error) or self._state is _State.ASKED:
                raise
            raise Disconnected(CloseCode.ABNORMAL) from error

    def _end(self, state: _State, code: int, reason: str) -> None:
        if self._state in {_State.CLOSED, _State.REJECTED}:
            return  # the first end counts
        self._state = state
        self.close_code = int(code)
        self.close_reason = reason

    def _refuse(self, call: str) -> NoReturn:
        """Raise what fits the state in which `call` cannot be."""
        if self._state is _State.CLOSED:
            raise Disconnected(self.close_code or CloseCode.ABNORMAL, self.close_reason)
        raise OutOfOrder(f"{call} does not fit here: the connection is {self._state.value}")
