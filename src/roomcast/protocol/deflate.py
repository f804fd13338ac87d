"""permessage-deflate (RFC 7692): inflating with a bound, and deflating, one message at a time.

Without context takeover a message is deflated on its own, so what came out for one connection serves every
other one with the same parameters, and a connection between messages holds no compressor: that is the
default both ways. With context takeover the window is kept from message to message, for smaller messages and
some 256 KB more memory a connection.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomcast.errors import InvalidFrame, MessageTooBig

if TYPE_CHECKING:
    # zlib names the types of its objects only for the type checker.
    from zlib import _Compress, _Decompress

LEVEL = 3
"""zlib's compression level, unless told otherwise: short messages get nearly as small as with 6, in less time."""
MEMORY_LEVEL = 8
"""zlib's memory level, unless told otherwise."""
MINIMUM_SIZE = 128
"""Messages of fewer bytes than this are not deflated: it would cost more than it saves."""

_TAIL = b"\x00\x00\xff\xff"
"""The end of the empty block that ends every deflated message; it is not sent (section 7.2.1)."""
_END = _TAIL + b"\x03\x00"
"""The tail, and an empty block with BFINAL: together they end the stream, unless a block was cut short."""

_STEP = 1 << 20
"""The most bytes to inflate at once: what a bomb may take beside the message it inflates to."""
_MAX_STREAMS = 128
"""The most deflate streams (blocks with BFINAL) that one message may have."""


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """What the two sides agreed on, and how hard this side tries.

    Attributes:
        server_no_context_takeover: every message of the server is deflated on its own.
        client_no_context_takeover: every message of the client is deflated on its own.
        server_max_window_bits: the base-2 logarithm of the server's LZ77 window in bytes, 8 to 15.
        client_max_window_bits: the base-2 logarithm of the client's LZ77 window in bytes, 8 to 15.
        level: zlib's compression level, 0 to 9.
        memory_level: zlib's memory level for a compressor, 1 to 9.
    """

    server_no_context_takeover: bool = True
    client_no_context_takeover: bool = True
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15
    level: int = LEVEL
    memory_level: int = MEMORY_LEVEL

    def deflater(self, *, is_client: bool) -> Deflater:
        """Make what deflates the messages of one side."""
        if is_client:
            window_bits, forgets = self.client_max_window_bits, self.client_no_context_takeover
        else:
            window_bits, forgets = self.server_max_window_bits, self.server_no_context_takeover
        return Deflater(window_bits, not forgets, self.level, self.memory_level)

    def inflater(self, *, is_client: bool) -> Inflater:
        """Make what inflates the messages of the other side."""
        if is_client:
            return Inflater(self.server_max_window_bits, not self.server_no_context_takeover)
        return Inflater(self.client_max_window_bits, not self.client_no_context_takeover)


def _compressor(window_bits: int, level: int, memory_level: int) -> _Compress:
    if window_bits == 8:
        # zlib cannot deflate into a window of 256 bytes. Run-length encoding looks back by one byte only, so
        # what it makes fits any window.
        return zlib.compressobj(level, zlib.DEFLATED, -9, memory_level, zlib.Z_RLE)
    return zlib.compressobj(level, zlib.DEFLATED, -window_bits, memory_level)


# A compressor is 13 times dearer to make than to use on a small message. A full flush makes it forget what it
# has seen, so one made before serves any message of any connection. It is taken out while it is used, so that
# two threads never have the same one, and one that failed does not come back.
_idle_compressors: dict[tuple[int, int, int], list[_Compress]] = {}


def deflate_message(
    payload: bytes, window_bits: int = 15, level: int = LEVEL, memory_level: int = MEMORY_LEVEL
) -> bytes:
    """Deflate a message on its own: without context takeover.

    The result depends on the arguments only, so it can be kept and sent to every connection that agreed on a
    window of at least these bits (RFC 7692, section 7.2.1).

    Args:
        payload: the message, text as UTF-8.
        window_bits: the base-2 logarithm of the LZ77 window in bytes, 8 to 15.
        level: zlib's compression level, 0 to 9.
        memory_level: zlib's memory level, 1 to 9.
    """
    idle = _idle_compressors.setdefault((window_bits, level, memory_level), [])
    try:
        compressor = idle.pop()
    except IndexError:
        compressor = _compressor(window_bits, level, memory_level)
    deflated = compressor.compress(payload) + compressor.flush(zlib.Z_FULL_FLUSH)
    idle.append(compressor)
    return deflated[:-4]


class Deflater:
    """Deflates the messages of one connection.

    Args:
        window_bits: the base-2 logarithm of the LZ77 window in bytes, 8 to 15.
        context_takeover: keep the window from message to message.
        level: zlib's compression level, 0 to 9.
        memory_level: zlib's memory level, 1 to 9.
    """

    __slots__ = ("_compressor", "_context_takeover", "_level", "_memory_level", "_window_bits")

    def __init__(
        self, window_bits: int, context_takeover: bool, level: int = LEVEL, memory_level: int = MEMORY_LEVEL
    ) -> None:
        self._window_bits = window_bits
        self._context_takeover = context_takeover
        self._level = level
        self._memory_level = memory_level
        self._compressor: _Compress | None = None

    def deflate(self, payload: bytes) -> bytes | None:
        """Deflate one message, without the tail that is not sent; None where it is better sent as it is."""
        if len(payload) < MINIMUM_SIZE:
            return None
        if not self._context_takeover:
            deflated = deflate_message(payload, self._window_bits, self._level, self._memory_level)
            return deflated if len(deflated) < len(payload) else None
        if self._compressor is None:
            self._compressor = _compressor(self._window_bits, self._level, self._memory_level)
        return (self._compressor.compress(payload) + self._compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def forget(self) -> None:
        """Drop the window: the peer gets a message that this did not deflate.

        What is deflated after that looks back no further than to itself, so it fits the peer's window.
        """
        self._compressor = None


class Inflater:
    """Inflates the messages of one connection, never further than it is told.

    Args:
        window_bits: the base-2 logarithm of the peer's LZ77 window in bytes, 8 to 15.
        context_takeover: the peer keeps its window from message to message.
    """

    __slots__ = ("_begun", "_context_takeover", "_end", "_stream", "_streams_left", "_window_bits")

    def __init__(self, window_bits: int, context_takeover: bool) -> None:
        self._window_bits = window_bits
        self._context_takeover = context_takeover
        self._end = _TAIL if context_takeover else _END
        self._stream: _Decompress | None = None
        self._begun = False
        self._streams_left = _MAX_STREAMS

    def inflate_whole(self, payload: bytes, max_size: int) -> bytes:
        """Inflate a message that came whole: without a copy, where it is one stream and not long.

        Args:
            payload: all of it.
            max_size: the most bytes that the message may have.

        Raises:
            InvalidFrame: this is not deflated data, or it stops within a block.
            MessageTooBig: it inflates over `max_size`; at most one byte more was inflated.
        """
        if not payload:
            return b""
        stream = self._stream or self._next_stream()
        wanted = min(max_size, _STEP) + 1
        message = bytearray()
        try:
            inflated = stream.decompress(payload + self._end, wanted)
            if len(inflated) < wanted and not stream.unused_data:
                if stream.eof:
                    self._stream = None
                self._finished()
                return inflated
            rest = self._append(stream, inflated, wanted, message, max_size)
        except zlib.error as error:
            raise _not_deflated(error) from None
        self.inflate(rest, message, max_size)
        self._finished()
        return bytes(message)

    def inflate(self, piece: bytes | bytearray, message: bytearray, max_size: int) -> None:
        """Inflate the next piece of a message, onto the end of what came of it before.

        Args:
            piece: what came, cut anywhere.
            message: what it is appended to.
            max_size: the most bytes that the message may have.

        Raises:
            InvalidFrame: this is not deflated data.
            MessageTooBig: it inflates over `max_size`; at most one byte more was inflated.
        """
        while piece:
            self._begun = True
            stream = self._stream or self._next_stream()
            wanted = min(max_size - len(message) + 1, _STEP)
            try:
                piece = self._append(stream, stream.decompress(piece, wanted), wanted, message, max_size)
            except zlib.error as error:
                raise _not_deflated(error) from None

    def _append(
        self, stream: _Decompress, inflated: bytes, wanted: int, message: bytearray, max_size: int
    ) -> bytes:
        """Append what was inflated, and what more there is to it; return what follows the end of the stream."""
        while len(inflated) == wanted and not stream.eof:
            message += self._within(inflated, message, max_size)
            wanted = min(max_size - len(message) + 1, _STEP)
            inflated = stream.decompress(stream.unconsumed_tail, wanted)
        message += self._within(inflated, message, max_size)
        if stream.eof:
            # A block with BFINAL ends a stream, and what follows is the next one (section 7.2.3.4).
            self._stream = None
        return stream.unused_data

    def finish(self, message: bytearray, max_size: int) -> None:
        """Inflate the end of a message: all pieces are here.

        Raises:
            InvalidFrame: the data stops within a block.
            MessageTooBig: it inflates over `max_size`.
        """
        if not self._begun:
            # Some endpoints write the empty message as no bytes at all, where section 7.2.3.6 has one zero.
            return
        self.inflate(self._end, message, max_size)
        self._finished()

    def _finished(self) -> None:
        if not self._context_takeover and self._stream is not None:
            raise InvalidFrame("deflated data that stops within a block")
        self._begun = False
        self._streams_left = _MAX_STREAMS

    def _next_stream(self) -> _Decompress:
        if self._streams_left == 0:
            raise InvalidFrame(f"a message of over {_MAX_STREAMS} deflate streams")
        self._streams_left -= 1
        self._stream = zlib.decompressobj(-self._window_bits)
        return self._stream

    @staticmethod
    def _within(inflated: bytes, message: bytearray, max_size: int) -> bytes:
        if len(message) + len(inflated) > max_size:
            raise MessageTooBig(f"a message that inflates to over {max_size} bytes")
        return inflated


def _not_deflated(error: zlib.error) -> InvalidFrame:
    return InvalidFrame(f"deflated data that cannot be inflated: {str(error)[:70]}")
