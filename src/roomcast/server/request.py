"""The head of a request that asks for a WebSocket, as it came or as uvicorn writes it again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

RequestHeaders: TypeAlias = list[tuple[bytes, bytes]]
"""Names in lower case and values, in order."""

_END = b"\r\n\r\n"
_REQUEST = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([^\x00-\x20\x7f]+) HTTP/(\d\.\d)\r\n")
# A field's value has no control characters but tabs (RFC 9110, section 5.5). Nothing is matched twice (`++` and
# `*+`): else a line of spaces, with what must not be behind them, would take time in the square of its length.
_FIELD = re.compile(
    rb"^([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)(?=\r\n|\Z)", re.MULTILINE
)

_NAMES = {
    spelling: name
    for name in (
        *(b"host", b"upgrade", b"connection", b"origin", b"pragma", b"cache-control", b"user-agent", b"cookie"),
        *(b"accept-encoding", b"accept-language", b"authorization"),
        *(b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-protocol"),
        *(b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip"),
    )
    for spelling in (name, name.title(), name.title().replace(b"Websocket", b"WebSocket"))
}
"""Names that most requests have, as they are mostly written. Every scope has the same object for the same name."""

_SHARED = frozenset(_NAMES.values()) - {
    *(b"cookie", b"authorization", b"sec-websocket-key", b"sec-websocket-protocol"),
    *(b"x-forwarded-for", b"x-real-ip"),
}
"""Names of headers whose values many requests have alike, and that hold no secret."""
_MAX_VALUES = 512
_MAX_VALUE = 256
_values: dict[bytes, bytes] = {}


@dataclass(slots=True)
class RequestHead:
    """What stands before a request's body.

    Attributes:
        method: such as GET.
        target: as it came.
        version: such as 1.1.
        headers: all of them.
    """

    method: str
    target: bytes
    version: str
    headers: RequestHeaders


def read_head(data: bytes) -> tuple[RequestHead, bytes] | None:
    """Read a request that begins `data`, and give it and what comes behind it.

    None where the head is not all here, or is not as RFC 9112 wants it: an HTTP server knows what to do then.
    """
    end = data.find(_END)
    request = _REQUEST.match(data)
    if end < 0 or request is None:
        return None
    lines = data[request.end() : end]
    fields = _FIELD.findall(lines)
    if len(fields) != (lines.count(b"\r\n") + 1 if lines else 0) or lines.count(b"\n") >= len(fields):
        return None
    headers: RequestHeaders = []
    for written, value in fields:
        name = _NAMES.get(written) or written.lower()
        if value.endswith((b" ", b"\t")):
            value = value.rstrip(b" \t")  # noqa: PLW2901 - the same value, as RFC 9110 reads it
        headers.append((name, _shared(value) if name in _SHARED else value))
    method, target, version = request.groups()
    return RequestHead(method.decode(), target, version.decode(), headers), data[end + len(_END) :]


def _shared(value: bytes) -> bytes:
    """Give the same object for the same value: thousands of connections say the same."""
    known = _values.get(value)
    if known is None:
        if len(value) > _MAX_VALUE:
            return value
        if len(_values) >= _MAX_VALUES:
            _values.clear()
        known = _values[value] = value
    return known
