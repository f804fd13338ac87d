"""The server's side of the opening handshake (RFC 6455, section 4.2): from a request to its response."""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from http import HTTPStatus
from typing import TYPE_CHECKING

from roomcast.errors import HandshakeError, InvalidHeader, InvalidSubprotocol
from roomcast.protocol.headers import (
    ExtensionOffer,
    Headers,
    elements,
    is_token,
    parse_extensions,
    write_headers,
    write_server_headers,
)
from roomcast.protocol.negotiation import DeflateAgreement, DeflateOptions, accept_deflate

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_KNOWN_OFFER = 256
"""The longest offer of extensions that is remembered, in bytes."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = b"13"

# Origin-form or absolute-form (RFC 9112, section 3.2), without a fragment (RFC 6455, section 3).
_TARGET = re.compile(rb"(?:/|(?:https?|wss?)://[^/])[\x21\x22\x24-\x7e\x80-\xff]*", re.IGNORECASE)

# What the handshake writes itself, and what a response without a body must not have (RFC 9110, section 8.6).
_RESERVED = frozenset({b"connection", b"upgrade", b"content-length", b"transfer-encoding"})
_RESERVED_PREFIX = b"sec-websocket-"


def accept_value(key: bytes) -> bytes:
    """Compute Sec-WebSocket-Accept from Sec-WebSocket-Key (RFC 6455, section 4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that opens no WebSocket, and what to answer.

    Attributes:
        status: the HTTP status.
        text: what was wrong and what would have been right, in ASCII.
        headers: headers that this status needs.
    """

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def response(self) -> bytes:
        """Build the whole response. The connection is to be closed behind it."""
        body = self.text.encode() + b"\n"
        headers = (
            *self.headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
        )
        return denial_head(self.status, headers) + body


@dataclass(frozen=True, slots=True)
class ServerHandshake:
    """A request that may open a WebSocket.

    Attributes:
        key: the client's Sec-WebSocket-Key.
        subprotocols: what the client offers, in its order of preference.
        extensions: what the client offers, in its order of preference.
    """

    key: bytes
    subprotocols: tuple[str, ...]
    extensions: tuple[ExtensionOffer, ...]

    def accept_deflate(self, options: DeflateOptions) -> DeflateAgreement | None:
        """Agree on permessage-deflate, where the client offers it in a way that can be accepted."""
        return accept_deflate(self.extensions, options) if self.extensions else None

    def response(
        self,
        *,
        subprotocol: str | None = None,
        deflate: DeflateAgreement | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
        server_headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> bytes:
        """Build the response that opens the WebSocket. Frames may follow it at once.

        Args:
            subprotocol: one of `subprotocols`, None for none.
            deflate: what `accept_deflate` returned.
            headers: further headers.
            server_headers: headers that every response of the server has, before those.

        Raises:
            InvalidSubprotocol: the client did not offer it.
            InvalidHeader: one of the headers is malformed, or is the handshake's own to write.
        """
        written = [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            b"Sec-WebSocket-Accept: %b\r\n" % accept_value(self.key),
        ]
        if subprotocol is not None:
            if subprotocol not in self.subprotocols:
                offered = ", ".join(self.subprotocols) or "none"
                raise InvalidSubprotocol(f"the client did not offer {subprotocol!r}; it offered: {offered}")
            written.append(b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode())
        if deflate is not None:
            written.append(b"Sec-WebSocket-Extensions: %b\r\n" % deflate.response.encode())
        further, everywhere = list(headers), tuple(server_headers)
        for name, _ in (*everywhere, *further):
            lowered = name.lower()
            if lowered in _RESERVED or lowered.startswith(_RESERVED_PREFIX):
                raise InvalidHeader(f"the header {name.decode('latin-1')} is the handshake's own to write")
        written += (write_server_headers(everywhere), write_headers(further), b"\r\n")
        return b"".join(written)


def read_request(method: str, target: bytes, http_version: str, headers: Headers) -> ServerHandshake | Refusal:
    """Check an upgrade request by every rule of RFC 6455, section 4.2.1.

    Args:
        method: the HTTP method.
        target: the request target as it came.
        http_version: "1.1" and the like.
        headers: names in lower case and values, in order.

    Returns:
        The handshake to accept, or what to answer instead.
    """
    by_name: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        by_name.setdefault(name, []).append(value)
    refusal = _check_http(method, target, http_version, by_name) or _check_websocket(by_name)
    if refusal is not None:
        return refusal
    subprotocols: list[str] = []
    if b"sec-websocket-protocol" in by_name:
        subprotocols = elements(by_name[b"sec-websocket-protocol"])
        if not subprotocols or not all(map(is_token, subprotocols)):
            return Refusal(400, "Sec-WebSocket-Protocol must be a list of tokens.")
        if len(set(subprotocols)) != len(subprotocols):
            return Refusal(400, "Sec-WebSocket-Protocol must not name a subprotocol twice.")
    extensions: tuple[ExtensionOffer, ...] = ()
    if b"sec-websocket-extensions" in by_name:
        try:
            extensions = _read_offer(b", ".join(by_name[b"sec-websocket-extensions"]))
        except ValueError as error:
            return Refusal(400, f"Sec-WebSocket-Extensions is malformed: {ascii(str(error))[1:-1]}.")
    return ServerHandshake(by_name[b"sec-websocket-key"][0].strip(b" \t"), tuple(subprotocols), extensions)


def _check_http(
    method: str, target: bytes, http_version: str, by_name: dict[bytes, list[bytes]]
) -> Refusal | None:
    """Check what HTTP has a say in."""
    if method != "GET":
        return Refusal(405, "A WebSocket is opened with GET.", ((b"allow", b"GET"),))
    major, _, minor = http_version.partition(".")
    if not (major.isdecimal() and (minor or "0").isdecimal()) or (int(major), int(minor or "0")) < (1, 1):
        return Refusal(400, "A WebSocket needs HTTP/1.1 or higher.")
    if _TARGET.fullmatch(target) is None:
        return Refusal(400, "The request target must be a path or a URL, without a fragment.")
    hosts = by_name.get(b"host", ())
    if len(hosts) != 1 or not hosts[0].strip(b" \t"):
        return Refusal(400, "There must be exactly one Host header.")
    # A body would be taken for frames.
    if b"transfer-encoding" in by_name or any(
        length.strip(b" \t") != b"0" for length in by_name.get(b"content-length", ())
    ):
        return Refusal(400, "A request for a WebSocket has no body.")
    return None


def _check_websocket(by_name: dict[bytes, list[bytes]]) -> Refusal | None:
    """Check the headers that ask for a WebSocket."""
    if not _has_element(by_name.get(b"upgrade"), b"websocket"):
        return Refusal(
            426,
            "This is a WebSocket: ask for it with Upgrade: websocket.",
            ((b"upgrade", b"websocket"), (b"connection", b"Upgrade")),
        )
    if not _has_element(by_name.get(b"connection"), b"upgrade"):
        return Refusal(400, "The Connection header must have the token Upgrade.")
    versions = by_name.get(b"sec-websocket-version", ())
    if len(versions) > 1:
        return Refusal(400, "There must be exactly one Sec-WebSocket-Version header.")
    if not versions or versions[0].strip(b" \t") != _VERSION:
        return Refusal(
            426,
            "Sec-WebSocket-Version must be 13.",
            ((b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-version", _VERSION)),
        )
    keys = by_name.get(b"sec-websocket-key", ())
    if len(keys) != 1 or not _is_key(keys[0].strip(b" \t")):
        return Refusal(400, "There must be exactly one Sec-WebSocket-Key header: 16 bytes in base64.")
    return None


def _has_element(values: list[bytes] | None, element: bytes) -> bool:
    """Whether a header that is a list has an element, in whatever case."""
    if values is None:
        return False
    if len(values) == 1 and values[0].lower() == element:
        return True
    return any(each.lower() == element.decode() for each in elements(values))


def _read_offer(offer: bytes) -> tuple[ExtensionOffer, ...]:
    """Parse an offer, or give what it said before: nearly all clients of a kind offer the same."""
    return _known_offer(offer) if len(offer) <= _MAX_KNOWN_OFFER else parse_extensions(offer.decode("latin-1"))


@lru_cache(maxsize=256)
def _known_offer(offer: bytes) -> tuple[ExtensionOffer, ...]:
    return parse_extensions(offer.decode("latin-1"))


def _is_key(key: bytes) -> bool:
    if len(key) != 24:
        return False
    try:
        return len(a2b_base64(key, strict_mode=True)) == 16
    except Base64Error:
        return False


def denial_head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Build the head of a plain HTTP response: the request opens no WebSocket after all.

    The response says `connection: close`, unless the headers have a Connection header: its body ends where
    the headers say, or else with the connection.

    Args:
        status: 200 to 599.
        headers: all of the response's headers.

    Raises:
        HandshakeError: the status is no final one.
        InvalidHeader: a header is malformed.
    """
    if not 200 <= status <= 599:
        raise HandshakeError(f"HTTP status {status} does not end a request: 200 to 599 do")
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = list(headers)
    if not any(name.lower() == b"connection" for name, _ in lines):
        lines.append((b"connection", b"close"))
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, phrase.encode(), write_headers(lines))
