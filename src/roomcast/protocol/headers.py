"""HTTP header fields, as the handshake reads and writes them (RFC 9110, section 5; RFC 6455, section 9.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

from roomcast.errors import InvalidHeader

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Names and values, in order. Names of received headers are lower-case."""

ExtensionOffer: TypeAlias = tuple[str, tuple[tuple[str, str | None], ...]]
"""An extension's name and its parameters, in order: names, and values where there are any."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Visible ASCII, space, tab, and the bytes over 127 that RFC 9110 keeps for compatibility.
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_QUOTED = re.compile(r'"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t\x20-\x7e])*)"')
_SPACE = re.compile(r"[ \t]*")


def is_token(text: str) -> bool:
    """Say whether `text` is a token (RFC 9110, section 5.6.2)."""
    return _TOKEN.fullmatch(text) is not None


def elements(values: Iterable[bytes]) -> list[str]:
    """Split the values of a header that is a list into its elements, empty ones left out.

    It may come as one line with commas, or as several lines (RFC 9110, section 5.3).
    """
    found = []
    for value in values:
        for element in value.decode("latin-1").split(","):
            stripped = element.strip(" \t")
            if stripped:
                found.append(stripped)
    return found


def parse_extensions(text: str) -> tuple[ExtensionOffer, ...]:
    """Parse a Sec-WebSocket-Extensions header (RFC 6455, section 9.1).

    Args:
        text: its value; several lines joined with commas.

    Returns:
        The extensions, in order.

    Raises:
        ValueError: it is not of that form; the message says where.
    """
    found: list[ExtensionOffer] = []
    position = 0
    while True:
        position = _skip(_SPACE, text, position)
        if position == len(text):
            break
        if text[position] == ",":
            position += 1
            continue
        name, position = _token(text, position)
        parameters: list[tuple[str, str | None]] = []
        while position < len(text) and text[position] == ";":
            parameter, position = _token(text, _skip(_SPACE, text, position + 1))
            value: str | None = None
            if position < len(text) and text[position] == "=":
                value, position = _value(text, _skip(_SPACE, text, position + 1))
            parameters.append((parameter, value))
        if position < len(text) and text[position] != ",":
            raise ValueError(f"unexpected {text[position]!r} at {position}")
        found.append((name, tuple(parameters)))
    if not found:
        raise ValueError("no extension in it")
    return tuple(found)


def _skip(what: re.Pattern[str], text: str, position: int) -> int:
    found = what.match(text, position)
    return position if found is None else found.end()


def _token(text: str, position: int) -> tuple[str, int]:
    found = _TOKEN.match(text, position)
    if found is None:
        raise ValueError(f"expected a token at {position}")
    return found[0], _skip(_SPACE, text, found.end())


def _value(text: str, position: int) -> tuple[str, int]:
    quoted = _QUOTED.match(text, position)
    if quoted is None:
        return _token(text, position)
    value = re.sub(r"\\(.)", r"\1", quoted[1])
    # Quoted or not, it must be a token (RFC 6455, section 9.1).
    if not is_token(value):
        raise ValueError(f"a quoted value that is no token at {position}")
    return value, _skip(_SPACE, text, quoted.end())


def write_headers(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    r"""Write header lines, each with its CR LF.

    Raises:
        InvalidHeader: a name is not a token, or a value has CR, LF, NUL or another control character, which
            could begin a header or a response of its own.
    """
    lines = []
    for name, value in headers:
        if _FIELD_NAME.fullmatch(name) is None:
            raise InvalidHeader(f"the header name {name!r} is not a token (RFC 9110, section 5.6.2)")
        if _FIELD_VALUE.fullmatch(value) is None:
            raise InvalidHeader(f"the value of header {name!r} has a control character")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)


@lru_cache(maxsize=16)
def write_server_headers(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Write header lines as `write_headers` does, or give what was written before.

    For what a server adds to every response of a second alike. An app's headers may hold secrets, which are not to
    be kept.
    """
    return write_headers(headers)
