"""Client: one WebSocket to a server."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from roomcast.client.tls import explained
from roomcast.close_codes import CloseCode
from roomcast.errors import HandshakeFailed, HandshakeRefused, InvalidHeader, ProtocolError, Unreachable
from roomcast.protocol.client_handshake import ClientHandshake, Opened, read_head
from roomcast.protocol.connection import DEFAULT_MAX_MESSAGE_SIZE, Connection, State
from roomcast.protocol.events import Close
from roomcast.protocol.sending import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from roomcast.client.address import Address
    from roomcast.protocol.events import Event
    from roomcast.protocol.negotiation import DeflateOptions

MAX_HEAD = 64 << 10
"""The most bytes in the head of a response."""
MAX_BODY = 64 << 10
"""How many bytes are read of the body of a refusal."""
TIMEOUT = 10.0
"""How many seconds opening may take, unless told otherwise."""
CLOSE_TIMEOUT = 5.0
"""How many seconds the server has for its close frame, unless told otherwise."""


async def connect(
    address: Address,
    *,
    heard: Callable[[Event], None],
    headers: Iterable[tuple[bytes, bytes]] = (),
    subprotocols: Sequence[str] = (),
    deflate: DeflateOptions | None = None,
    tls: ssl.SSLContext | None = None,
    max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
    timeout: float = TIMEOUT,
) -> Client:
    """Open a WebSocket.

    Args:
        address: where to.
        heard: called with each event, in order, from the first one after the handshake on. The last is a `Close`
            or a `ProtocolError`. It returns at once.
        headers: further headers of the request.
        subprotocols: what to offer, in order of preference.
        deflate: how to offer permessage-deflate, None for not at all.
        tls: how to speak TLS, where the address is secure.
        max_message_size: the most bytes in a message that comes; None for no limit.
        timeout: how many seconds it may take.

    Raises:
        Unreachable: the server is not there, does not answer in time, or cannot be trusted.
        HandshakeRefused: it answered with another status than 101.
        HandshakeFailed: what it answered opens no WebSocket.
        InvalidHeader: a header or a subprotocol is malformed.
    """
    handshake = ClientHandshake(
        address.authority.encode(),
        address.target.encode(),
        subprotocols=subprotocols,
        deflate=deflate,
        headers=headers,
    )
    client = Client(handshake, heard, max_message_size)
    where = f"{address.host}, port {address.port}"
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            await loop.create_connection(
                lambda: client, address.host, address.port, ssl=tls if address.secure else None
            )
            await client.answered
    except TimeoutError:
        client.abort()
        raise Unreachable(f"no answer from {where} within {timeout:g} s") from None
    except ssl.SSLError as error:
        raise Unreachable(explained(error, address.host)) from None
    except (InvalidHeader, HandshakeFailed, Unreachable):
        raise
    except (OSError, UnicodeError) as error:
        raise Unreachable(_unreached(error, address.host, where)) from None
    except BaseException:
        client.abort()
        raise
    return client


class Client(asyncio.Protocol):
    """One WebSocket to a server: `connect` makes it.

    Attributes:
        answered: done when it is open, or is not to be.
        closed: done when it is over, with the `Close` that ended it: 1006 where there was none.
        opened: what was agreed on.
        failure: what the server did wrong, if that ended it.
    """

    opened: Opened

    def __init__(
        self, handshake: ClientHandshake, heard: Callable[[Event], None], max_message_size: int | None
    ) -> None:
        loop = asyncio.get_running_loop()
        self.answered: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[Close] = loop.create_future()
        self._handshake = handshake
        self._heard = heard
        self._max_message_size = max_message_size
        self._transport: asyncio.Transport | None = None
        self._read = b""
        self._refusal: HandshakeRefused | None = None
        self._connection: Connection | None = None
        self.failure: ProtocolError | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def send(self, message: str | bytes) -> None:
        """Send a text or a binary message; it waits in memory where the server does not read.

        Raises:
            OutOfOrder: the connection is over.
            UnsupportedData: the text has no UTF-8.
        """
        connection, transport = self._open()
        transport.write(
            connection.send_text(message) if isinstance(message, str) else connection.send_bytes(message)
        )

    @property
    def takes_more(self) -> bool:
        """Whether it is open, and what was sent before does not wait in memory."""
        connection = self._connection
        return connection is not None and connection.state == State.OPEN and self._writable.is_set()

    async def drain(self) -> None:
        """Wait until what was sent does not wait in memory any more, or the connection is over."""
        await self._writable.wait()

    async def close(
        self, code: int = CloseCode.NORMAL, reason: str = "", *, timeout: float = CLOSE_TIMEOUT
    ) -> Close:
        """Close, and wait for the server's answer; what comes before it is still heard. One that is over stays so.

        Args:
            code: the close code.
            reason: at most 123 bytes of UTF-8.
            timeout: how many seconds the server has.

        Returns:
            What ended the connection.

        Raises:
            InvalidClose: the code or the reason may not be sent.
        """
        if not self.closed.done():
            connection, transport = self._open()
            transport.write(connection.send_close(code, reason))
            await asyncio.wait([self.closed], timeout=timeout)
            self.abort()
        return await asyncio.shield(self.closed)

    def abort(self) -> None:
        """Let the connection go without a word."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport.write(self._handshake.request())

    def data_received(self, data: bytes) -> None:  # noqa: D102
        if self._connection is None:
            if self.answered.done():  # cancelled just now: nobody waits for this answer any more
                self.abort()
                return
            self._read += data
            data = self._read_response()
            if self._connection is None:
                return
        connection = self._connection
        for event in connection.receive_data(data):
            self._hear(event)
        if self._transport is not None:
            if connection.has_replies():
                self._transport.write(connection.data_to_send())
            if connection.state == State.CLOSED:
                self._transport.close()

    def eof_received(self) -> None:  # noqa: D102
        return

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._writable.set()
        if self._connection is None:
            self._answer(self._refusal or _lost_before_answer(self._read, exc))
            return
        for event in self._connection.receive_eof():
            self._hear(event)
        if not self.closed.done():
            received = self._connection.close_received
            failure = self.failure
            self.closed.set_result(
                Close(failure.code, failure.reason) if failure else received or Close(CloseCode.ABNORMAL, "")
            )

    def pause_writing(self) -> None:  # noqa: D102
        self._writable.clear()

    def resume_writing(self) -> None:  # noqa: D102
        self._writable.set()

    def _open(self) -> tuple[Connection, asyncio.Transport]:
        assert self._connection is not None  # noqa: S101  # `connect` returns nothing that is not open
        assert self._transport is not None  # noqa: S101
        return self._connection, self._transport

    def _hear(self, event: Event) -> None:
        if isinstance(event, ProtocolError):
            self.failure = event
        self._heard(event)

    def _read_response(self) -> bytes:
        """Read the response as far as it is here; return what is behind it where it opens a WebSocket."""
        if self._refusal is not None:
            self._read_body(self._refusal)
            return b""
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if not end:
            if len(head) > MAX_HEAD:
                self._give_up(HandshakeFailed(f"the response's head has over {MAX_HEAD >> 10} KiB"))
            elif not b"HTTP/".startswith(head[:5]):
                self._give_up(
                    HandshakeFailed("what answers there does not speak HTTP: is it wss:// and not ws://?")
                )
            return b""
        try:
            status, headers = read_head(head + end)
            if status != 101:
                self._refusal = HandshakeRefused(_refused(status), status, headers)
                self._read = rest
                self._read_body(self._refusal)
                return b""
            self.opened = self._handshake.read_response(head + end)
        except HandshakeFailed as error:
            self._give_up(error)
            return b""
        self._read = b""
        self._connection = Connection(
            Role.CLIENT, max_message_size=self._max_message_size, deflate=self.opened.deflate
        )
        self.answered.set_result(None)
        return rest

    def _read_body(self, refusal: HandshakeRefused) -> None:
        """Read a refusal's body as far as it is here; it ends where its length says, or with the connection."""
        headers = dict(refusal.headers)
        is_chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        refusal.body = _joined(self._read) if is_chunked else self._read[:MAX_BODY]
        length = headers.get(b"content-length", b"")
        due = min(int(length), MAX_BODY) if length.isdigit() else MAX_BODY
        if len(self._read) >= due or (is_chunked and self._read.endswith(b"0\r\n\r\n")):
            self._give_up(refusal)

    def _give_up(self, error: Exception) -> None:
        self._answer(error)
        self.abort()

    def _answer(self, error: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)


def _refused(status: int) -> str:
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    return f"the server answered with HTTP status {status}{phrase}, where 101 was due"


def _joined(chunks: bytes) -> bytes:
    """Give what is in the chunks of a body (RFC 9112, section 7.1), as far as they are here."""
    body = b""
    while True:
        size, end, rest = chunks.partition(b"\r\n")
        try:
            length = int(size.partition(b";")[0], 16) if end else 0
        except ValueError:
            length = 0
        if length <= 0:
            return body
        body += rest[:length]
        chunks = rest[length + 2 :]


def _lost_before_answer(read: bytes, error: Exception | None) -> Exception:
    if isinstance(error, ssl.SSLError):
        return error
    if read and not b"HTTP/".startswith(read[:5]):
        return HandshakeFailed("what answers there does not speak HTTP: is it wss:// and not ws://?")
    return Unreachable(
        "the connection was lost before there was an answer: is it wss:// and not ws://, or too busy?"
    )


def _unreached(error: OSError | UnicodeError, host: str, where: str) -> str:
    """Say why there is no connection, from what the event loop raised for one address or for several."""
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"there is no host {host!r}, or its name cannot be looked up now"
    if error.errno == errno.ECONNREFUSED or str(error).startswith("Multiple exceptions"):
        return f"nothing listens on {where}: is the server running there?"
    return f"{where} cannot be reached: {error.strerror or error}"
