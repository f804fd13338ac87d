"""The client's side of the opening handshake (RFC 6455, section 4.1)."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from os import urandom
from typing import TYPE_CHECKING

from roomcast.errors import HandshakeFailed, InvalidHeader
from roomcast.protocol.handshake import accept_value
from roomcast.protocol.headers import ExtensionOffer, elements, is_token, parse_extensions, write_headers
from roomcast.protocol.negotiation import DeflateOptions, accepted_deflate, offer_deflate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roomcast.protocol.deflate import DeflateParameters

_STATUS_LINE = re.compile(rb"HTTP/(\d\.\d) (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?")
_HEADER_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*")


@dataclass(frozen=True, slots=True)
class Opened:
    """A WebSocket that the server opened.

    Attributes:
        subprotocol: what the server chose of the offered ones, None for none.
        deflate: what was agreed on, for `Connection`; None for no compression.
        headers: the response's headers, names in lower case.
    """

    subprotocol: str | None
    deflate: DeflateParameters | None
    headers: tuple[tuple[bytes, bytes], ...]


class ClientHandshake:
    """One attempt to open a WebSocket.

        handshake = ClientHandshake(b"example.org", b"/chat", subprotocols=["chat"])
        write(handshake.request())
        opened = handshake.read_response(head)

    Args:
        host: the Host header: a name or an address, and the port where it is not the scheme's.
        target: the path, and the query where there is one.
        subprotocols: what to offer, in order of preference.
        deflate: how to offer permessage-deflate, None for not at all.
        headers: further headers.

    Raises:
        InvalidHeader: the host, the target, a subprotocol or a header is malformed.
    """

    __slots__ = ("_deflate", "_key", "_request", "_subprotocols")

    def __init__(
        self,
        host: bytes,
        target: bytes = b"/",
        *,
        subprotocols: Sequence[str] = (),
        deflate: DeflateOptions | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        if _TARGET.fullmatch(target) is None:
            raise InvalidHeader(f"the target {target!r} is not a path in ASCII, without spaces and fragment")
        if not all(map(is_token, subprotocols)) or len(set(subprotocols)) != len(subprotocols):
            raise InvalidHeader("the subprotocols must be tokens, each named once")
        self._key = b64encode(urandom(16))
        self._subprotocols = tuple(subprotocols)
        self._deflate = deflate
        lines = [
            (b"Host", host),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Key", self._key),
            (b"Sec-WebSocket-Version", b"13"),
        ]
        if subprotocols:
            lines.append((b"Sec-WebSocket-Protocol", ", ".join(subprotocols).encode()))
        if deflate is not None:
            lines.append((b"Sec-WebSocket-Extensions", offer_deflate(deflate).encode()))
        self._request = b"GET %b HTTP/1.1\r\n%b\r\n" % (target, write_headers([*lines, *headers]))

    def request(self) -> bytes:
        """Return the request to write."""
        return self._request

    def read_response(self, head: bytes) -> Opened:
        """Check the response.

        Args:
            head: the response up to its empty line, that included. What follows it is frames.

        Raises:
            HandshakeFailed: the response does not open a WebSocket, or not the one that was asked for.
        """
        status, headers = read_head(head)
        if status != 101:
            raise HandshakeFailed(f"the server answered with HTTP status {status}, where 101 was due", status)
        by_name: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            by_name.setdefault(name, []).append(value)
        if [element.lower() for element in elements(by_name.get(b"upgrade", ()))] != ["websocket"]:
            raise HandshakeFailed("the response has no Upgrade: websocket", status)
        if "upgrade" not in [element.lower() for element in elements(by_name.get(b"connection", ()))]:
            raise HandshakeFailed("the response has no Connection: Upgrade", status)
        if by_name.get(b"sec-websocket-accept") != [accept_value(self._key)]:
            raise HandshakeFailed("the response has not the Sec-WebSocket-Accept of this request", status)
        return Opened(self._chosen(by_name, status), self._agreed(by_name, status), headers)

    def _chosen(self, by_name: dict[bytes, list[bytes]], status: int) -> str | None:
        """Read the subprotocol that the server chose."""
        values = by_name.get(b"sec-websocket-protocol")
        if values is None:
            return None
        subprotocol = values[0].decode("latin-1")
        if len(values) != 1 or subprotocol not in self._subprotocols:
            raise HandshakeFailed("the response has a subprotocol that was not offered", status)
        return subprotocol

    def _agreed(self, by_name: dict[bytes, list[bytes]], status: int) -> DeflateParameters | None:
        """Read the extension that the server accepted."""
        values = by_name.get(b"sec-websocket-extensions")
        if values is None:
            return None
        try:
            accepted: tuple[ExtensionOffer, ...] = parse_extensions(b", ".join(values).decode("latin-1"))
            if self._deflate is None:
                raise HandshakeFailed("the response has an extension that was not offered", status)
            return accepted_deflate(accepted, self._deflate)
        except ValueError as error:
            raise HandshakeFailed(f"the response's Sec-WebSocket-Extensions: {error}", status) from None


def read_head(head: bytes) -> tuple[int, tuple[tuple[bytes, bytes], ...]]:
    """Read the head of a response: its status, and its headers, names in lower case.

    Raises:
        HandshakeFailed: it is no head of an HTTP/1.1 response.
    """
    if not head.endswith(b"\r\n\r\n"):
        raise HandshakeFailed("the response stops before the end of its headers")
    first, *lines = head[:-4].split(b"\r\n")
    status_line = _STATUS_LINE.fullmatch(first)
    if status_line is None or status_line[1] < b"1.1":
        raise HandshakeFailed("the response is not HTTP/1.1")
    headers = []
    for line in lines:
        header = _HEADER_LINE.fullmatch(line)
        if header is None:
            raise HandshakeFailed("the response has a malformed header", int(status_line[2]))
        headers.append((header[1].lower(), header[2]))
    return int(status_line[2]), tuple(headers)
