"""What an app sends, checked: the ASGI events of a WebSocket, and the errors that say what was wrong with one."""

from __future__ import annotations

from typing import Any

from roomcast.close_codes import CloseCode
from roomcast.errors import InvalidEvent

MISPLACED = {
    "asked": (
        "the handshake is not answered: expected 'websocket.accept', 'websocket.close' "
        "or 'websocket.http.response.start'"
    ),
    "denying": "the handshake is refused: expected 'websocket.http.response.body'",
    "open": "the connection is open: expected 'websocket.send' or 'websocket.close'",
    "closed": "the app has closed the connection: nothing can follow",
}


def misplaced(event: dict[str, Any], state: str) -> InvalidEvent:
    """Make the error for an event that is unknown, or does not fit the state."""
    return InvalidEvent(f"{event.get('type')!r} does not fit here: {MISPLACED[state]}")


def message_of(event: dict[str, Any]) -> str | bytes:
    """Give what a 'websocket.send' is to send.

    Raises:
        InvalidEvent: if it has not exactly one of text and bytes.
    """
    text = event.get("text")
    data = event.get("bytes")
    if data is None and isinstance(text, str):
        return text
    if text is None and isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    given = f"text {type(text).__name__} and bytes {type(data).__name__}"
    raise InvalidEvent(f"'websocket.send' takes exactly one of text (a str) and bytes; here: {given}")


def headers_of(event: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """Give an event's headers.

    Raises:
        InvalidEvent: if they are not pairs of bytes.
    """
    headers = event.get("headers") or ()
    try:
        pairs = [(name, value) for name, value in headers]
    except (TypeError, ValueError):
        pairs = [(None, None)]
    if not all(isinstance(part, bytes) for pair in pairs for part in pair):
        raise InvalidEvent(f"{event['type']!r} takes headers as pairs of bytes, not {headers!r}")
    return pairs


def subprotocol_of(event: dict[str, Any]) -> str | None:
    """Give the subprotocol of a 'websocket.accept'.

    Raises:
        InvalidEvent: if it is neither a str nor None.
    """
    subprotocol = event.get("subprotocol")
    if subprotocol is not None and not isinstance(subprotocol, str):
        raise InvalidEvent(f"'websocket.accept' takes subprotocol (a str or None), not {subprotocol!r}")
    return subprotocol


def close_of(event: dict[str, Any]) -> tuple[int, str]:
    """Give code and reason of a 'websocket.close'.

    Raises:
        InvalidEvent: if the code is no int, or the reason no str.
    """
    code = event.get("code", CloseCode.NORMAL)
    reason = event.get("reason") or ""
    if not isinstance(code, int) or not isinstance(reason, str):
        raise InvalidEvent(
            f"'websocket.close' takes code (an int) and reason (a str), not {code!r} and {reason!r}"
        )
    return code, reason


def status_of(event: dict[str, Any]) -> int:
    """Give the status of a 'websocket.http.response.start'.

    Raises:
        InvalidEvent: if it is no int.
    """
    status = event.get("status")
    if not isinstance(status, int):
        raise InvalidEvent(f"'websocket.http.response.start' takes status (an int), not {status!r}")
    return status


def body_of(event: dict[str, Any]) -> bytes:
    """Give the body of a 'websocket.http.response.body'.

    Raises:
        InvalidEvent: if it is not bytes.
    """
    body = event.get("body", b"")
    if not isinstance(body, bytes):
        raise InvalidEvent(f"'websocket.http.response.body' takes body (bytes), not {type(body).__name__}")
    return body
