"""Sendable: what may go to a peer, checked before it goes: close codes and reasons, text, headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.close_codes import may_be_sent
from roomcast.errors import InvalidClose, InvalidHandshake, UnsupportedData

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_REASON = 123
"""The longest close reason, in bytes of UTF-8 (RFC 6455, section 5.5: 125 for a control frame, less the code)."""


def check_close(code: int, reason: str) -> None:
    """Find out whether a connection can be closed with `code` and `reason`.

    Raises:
        InvalidClose: if it cannot.
    """
    if not isinstance(code, int) or not may_be_sent(code):
        raise InvalidClose(f"close code {code!r} may not be sent; use 1000, or one of your own from 4000 to 4999")
    if not isinstance(reason, str):
        raise InvalidClose(f"a close reason is a str, not {type(reason).__name__}")
    try:
        size = len(reason.encode())
    except UnicodeEncodeError as error:
        raise InvalidClose(f"a close reason must have a UTF-8 form: {error}") from None
    if size > MAX_REASON:
        raise InvalidClose(f"a close reason has at most {MAX_REASON} bytes of UTF-8, and this one {size}")


def check_utf8(text: str) -> None:
    """Find out whether text can be sent.

    Raises:
        UnsupportedData: if it has no UTF-8 form (a lone surrogate).
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UnsupportedData(f"text must have a UTF-8 form: {error}") from None


def encode_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Write headers as ASGI has them: names in lower case, both in bytes.

    Raises:
        InvalidHandshake: for one that cannot be sent, or is not the app's to set.
    """
    pairs = headers.items() if hasattr(headers, "items") else headers
    encoded = [_encode_header(pair) for pair in pairs]
    if any(name == b"sec-websocket-protocol" for name, _ in encoded):
        raise InvalidHandshake("the subprotocol is not set by a header: accept(subprotocol=…) sets it")
    return encoded


def _encode_header(pair: object) -> tuple[bytes, bytes]:
    match pair:
        case (str(name), str(value)):
            pass
        case _:
            raise InvalidHandshake(f"a header is a name and a value, both of them str, not {pair!r}")
    for part in (name, value):
        if not part.isascii() or any(_is_control(character) for character in part):
            raise InvalidHandshake(f"header {name!r}: only printable ASCII may be sent, not {value!r}")
    if not name or any(character in ' \t\x7f"(),/:;<=>?@[\\]{}' for character in name):
        raise InvalidHandshake(f"{name!r} is no header name")
    return name.lower().encode(), value.encode()


def _is_control(character: str) -> bool:
    return (character < " " and character != "\t") or character == "\x7f"
