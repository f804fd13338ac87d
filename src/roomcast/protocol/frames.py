"""Frames (RFC 6455, section 5.2): what stands before a payload, and how it is written.

What a frame may be on its own is decided here. What it may be after what came before it is the connection's
to know.
"""

from __future__ import annotations

from enum import IntEnum
from os import urandom
from typing import TYPE_CHECKING, Any

from roomcast.errors import InvalidFrame
from roomcast.protocol.masking import mask
from roomcast.protocol.utf8 import encoded

if TYPE_CHECKING:
    import cython
else:
    from roomcast.protocol import interpreted as cython

    if cython.compiled:
        from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
        from cython.cimports.cpython.unicode import PyUnicode_AsUTF8
        from cython.cimports.libc.string import memcpy


class Opcode(IntEnum):
    """What a frame is (RFC 6455, section 11.8)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


FIN = 0x80
"""The bit of the first byte that ends a message."""
RSV1 = 0x40
"""The bit of the first byte that says: this message is deflated (RFC 7692, section 6)."""
MASKED = 0x80
"""The bit of the second byte that says: a masking key follows."""

_TEXT = 0x81
_LONGEST_HEADER = 10
"""How many bytes a header may have, without the masking key."""
_OPCODES = frozenset(Opcode)


class FrameHeader:
    """What stands before a payload.

    Attributes:
        first: the first byte: FIN, the reserved bits and the opcode.
        length: the payload's length in bytes.
        start: where the payload starts: behind the masking key, where there is one.
    """

    __slots__ = ("first", "length", "start")

    def __init__(self, first: int, length: int, start: int) -> None:
        self.first = first
        self.length = length
        self.start = start


def read_header(data: bytes, position: int, end: int, mask_bit: int) -> FrameHeader | None:
    """Read the header of the frame at `position`.

    Args:
        data: what came.
        position: where the frame starts.
        end: where `data` ends, at least two bytes behind `position`.
        mask_bit: MASKED where the peer is a client, which must mask, 0 where it is a server, which must not.

    Returns:
        The header, as soon as the length is here, though the masking key is not; else None.

    Raises:
        InvalidFrame: no frame may start so.
    """
    first = data[position]
    second = data[position + 1]
    length = second & 0x7F
    start = position + 2
    if first & 0x30:
        raise InvalidFrame("a frame with a reserved bit set, RSV2 or RSV3")
    if first & 0x0F not in _OPCODES:
        raise InvalidFrame(f"a frame with the reserved opcode {first & 0x0F}")
    if second & MASKED != mask_bit:
        raise InvalidFrame(
            "a frame that is not masked, from the client" if mask_bit else "a masked frame, from the server"
        )
    if first & 0x08:
        if first & RSV1:
            raise InvalidFrame("a deflated control frame")
        if not first & FIN:
            raise InvalidFrame("a fragmented control frame")
        if length > 125:
            raise InvalidFrame("a control frame of over 125 bytes")
    elif length == 126:
        if end - start < 2:
            return None
        length = data[start] << 8 | data[start + 1]
        start += 2
        if length < 126:
            raise InvalidFrame(f"a length of {length} in two bytes, where the shortest form has none")
    elif length == 127:
        if end - start < 8:
            return None
        if data[start] & 0x80:
            raise InvalidFrame("a length with its most significant bit set")
        length = int.from_bytes(data[start : start + 8], "big")
        start += 8
        if length < 65536:
            raise InvalidFrame(f"a length of {length} in eight bytes, where a shorter form would do")
    return FrameHeader(first, length, start + (4 if mask_bit else 0))


def frame_header(first: int, length: int, mask_bit: int = 0) -> bytes:
    """Build what stands before the masking key or the payload, in its shortest form.

    Args:
        first: the first byte: FIN, the reserved bits and the opcode.
        length: the payload's length in bytes, at most 2**63 - 1.
        mask_bit: MASKED where a masking key follows, else 0.
    """
    if length < 126:
        return bytes((first, mask_bit | length))
    if length < 65536:
        return bytes((first, mask_bit | 126, length >> 8, length & 0xFF))
    return bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")


def server_frame(first: int, payload: bytes) -> bytes:
    """Build an unmasked frame: a server's.

    Args:
        first: the first byte: FIN, the reserved bits and the opcode.
        payload: the payload.
    """
    return _frame(first, payload, len(payload))


def text_frame(text: str) -> bytes:
    """Build the unmasked frame of a whole text message: a server's.

    Raises:
        UnsupportedData: the text has a lone surrogate, which UTF-8 has no bytes for.
    """
    if cython.compiled and type(text) is str:
        exact = text
        if exact.isascii():
            # Such a text lies in memory as its UTF-8 already: it is copied once, into the frame.
            return _frame(_TEXT, PyUnicode_AsUTF8(exact), len(exact))  # type: ignore[name-defined]
    payload = encoded(text)
    return _frame(_TEXT, payload, len(payload))


def _frame(first: int, payload: bytes, size: int) -> bytes:
    """Build an unmasked frame of `size` bytes at `payload`, which is a pointer where this is compiled."""
    if cython.compiled:
        start = 2 if size < 126 else 4 if size < 65536 else _LONGEST_HEADER
        frame: bytes = PyBytes_FromStringAndSize(cython.NULL, start + size)  # type: ignore[name-defined]
        target: Any = frame
        target[0] = first
        if start == 2:
            target[1] = size
        elif start == 4:
            target[1] = 126
            target[2] = size >> 8
            target[3] = size & 0xFF
        else:
            target[1] = 127
            left = size
            for at in range(9, 1, -1):
                target[at] = left & 0xFF
                left >>= 8
        memcpy(target + start, payload, size)  # type: ignore[name-defined]
        return frame
    return frame_header(first, size) + payload


def client_frame(first: int, payload: bytes) -> bytes:
    """Build a masked frame: a client's.

    The key comes from the system's source of randomness, because whoever chose the payload must not be able
    to guess it (RFC 6455, section 10.3).

    Args:
        first: the first byte: FIN, the reserved bits and the opcode.
        payload: the payload.
    """
    keyed = urandom(4) + payload
    return frame_header(first, len(payload), MASKED) + keyed[:4] + mask(keyed, 4, len(keyed))
