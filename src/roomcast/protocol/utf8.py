"""UTF-8, also as it arrives (RFC 6455, section 8.1): a bad text fails at its first bad byte."""

from __future__ import annotations

from codecs import utf_8_decode

from roomcast.errors import InvalidText, UnsupportedData


def decoded_until(text: bytearray | memoryview, start: int) -> int:
    """Check the bytes of an unfinished text that came since the last check.

    Only whole characters count. The first bytes of one that is not all here yet are checked too, as far as
    they decide something, and are to be looked at again with the bytes that follow: at most three.

    Args:
        text: what came so far.
        start: how much of it was found good before, in bytes.

    Returns:
        How much is good now, in bytes.

    Raises:
        InvalidText: no bytes that could follow would make this UTF-8.
    """
    with memoryview(text) as whole, whole[start:] as new:
        try:
            good = start + utf_8_decode(new, "strict", False)[1]
        except UnicodeDecodeError as error:
            raise invalid_text(error, start) from None
    # What can begin a surrogate only is left undecided by the codec, for the sake of other error handlers.
    if len(text) - good == 2 and text[good] == 0xED and text[good + 1] >= 0xA0:
        raise InvalidText(f"text that is not UTF-8: invalid continuation byte at byte {good}")
    return good


def decoded(text: bytes | bytearray) -> str:
    """Decode a whole text.

    Raises:
        InvalidText: it is not UTF-8.
    """
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise invalid_text(error) from None


def encoded(text: str) -> bytes:
    """Encode a whole text.

    Raises:
        UnsupportedData: it has a lone surrogate, which UTF-8 has no bytes for.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise unencodable(error) from None


def invalid_text(error: UnicodeDecodeError, start: int = 0) -> InvalidText:
    """Say what is wrong with a text of the peer's; `start` is where in it the decoding began, in bytes."""
    return InvalidText(f"text that is not UTF-8: {error.reason} at byte {start + error.start}")


def unencodable(error: UnicodeEncodeError) -> UnsupportedData:
    """Say what is wrong with a text to send."""
    return UnsupportedData(f"text that UTF-8 has no bytes for: {error.reason} at {error.start}")
