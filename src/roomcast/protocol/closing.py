"""The payload of a close frame (RFC 6455, section 5.5.1): a code and a reason, or nothing."""

from __future__ import annotations

from roomcast.close_codes import CloseCode, may_be_sent
from roomcast.errors import InvalidClose, InvalidFrame, InvalidText

MAX_REASON_SIZE = 123
"""The most bytes of UTF-8 in a close reason: a control frame has 125, and the code takes two."""


def close_payload(code: int | None, reason: str) -> bytes:
    """Build the payload of a close frame.

    Args:
        code: the close code, None for none.
        reason: at most 123 bytes of UTF-8.

    Raises:
        InvalidClose: the code may not be sent, or the reason is too long, or has no code to go with.
    """
    if code is None:
        if reason:
            raise InvalidClose("a close reason needs a close code")
        return b""
    if not may_be_sent(code):
        raise InvalidClose(f"close code {code} may not be sent: 1000 to 1003, 1007 to 1014 and 3000 to 4999 may")
    try:
        encoded = reason.encode()
    except UnicodeEncodeError as error:
        raise InvalidClose(f"a close reason that UTF-8 has no bytes for: {error.reason}") from None
    if len(encoded) > MAX_REASON_SIZE:
        raise InvalidClose(f"a close reason of {len(encoded)} bytes: at most {MAX_REASON_SIZE} fit")
    return code.to_bytes(2, "big") + encoded


def read_close_payload(payload: bytes) -> tuple[int, str]:
    """Read the payload of the peer's close frame.

    Returns:
        The code, 1005 where there is none, and the reason.

    Raises:
        InvalidFrame: half a code, or one that may not be sent.
        InvalidText: the reason is not UTF-8.
    """
    if not payload:
        return CloseCode.NO_STATUS, ""
    if len(payload) == 1:
        raise InvalidFrame("a close frame with half a close code")
    code = int.from_bytes(payload[:2], "big")
    if not may_be_sent(code):
        raise InvalidFrame(f"a close frame with close code {code}, which may not be sent")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError as error:
        raise InvalidText(f"a close reason that is not UTF-8: {error.reason} at byte {error.start}") from None
