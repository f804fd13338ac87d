"""A message that is on its way: not all of it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast.errors import TooManyFrames
from roomcast.protocol.masking import mask_onto
from roomcast.protocol.utf8 import decoded, decoded_until

if TYPE_CHECKING:
    import cython

    from roomcast.protocol.deflate import Inflater
else:
    from roomcast.protocol import interpreted as cython

    if cython.compiled:
        from cython.cimports.cpython.unicode import PyUnicode_DATA, PyUnicode_New
        from cython.cimports.libc.string import memcpy
        from cython.cimports.roomcast.protocol.masking import ascii_until


class IncomingMessage:
    """Joins the pieces of one message: fragments, and parts of fragments as TCP cut them.

    Every piece is inflated and checked as it comes, and copied once, so a message costs the same however it
    was cut. There is none of these between messages, and none for a message that came whole.

    Args:
        is_text: a text message; else a binary one.
        inflater: what inflates the message, None where it is not deflated.
        max_size: the most bytes that the message may have, inflated.
        max_fragments: the most frames that it may come in.
    """

    __slots__ = ("_checked", "_fragments_left", "_inflater", "_is_ascii", "_is_text", "_max_size", "_payload")

    def __init__(self, is_text: bool, inflater: Inflater | None, max_size: int, max_fragments: int) -> None:
        self._is_text = is_text
        self._inflater = inflater
        self._max_size = max_size
        self._fragments_left = max_fragments
        self._payload = bytearray()
        self._checked = 0
        self._is_ascii = True

    @property
    def size(self) -> int:
        """How much of it is here, inflated, in bytes."""
        return len(self._payload)

    @property
    def is_deflated(self) -> bool:
        """Whether what comes is deflated."""
        return self._inflater is not None

    def begin_fragment(self) -> None:
        """Count one more frame.

        Raises:
            TooManyFrames: it is one too many.
        """
        if self._fragments_left == 0:
            raise TooManyFrames("a message in more fragments than are taken")
        self._fragments_left -= 1

    def feed(self, data: bytes, start: int, stop: int, key: bytes) -> None:
        """Take the next piece of the payload.

        Args:
            data: what came.
            start: where the piece starts in it.
            stop: where the piece stops.
            key: the masking key, the first byte of which is for the first byte of the piece; b"" where the
                piece is not masked.

        Raises:
            InvalidText: it cannot become UTF-8 any more.
            InvalidFrame: it cannot be inflated.
            MessageTooBig: it inflated over the size limit.
        """
        piece = self._payload if self._inflater is None else bytearray()
        if key:
            mask_onto(piece, data, start, stop, key)
        else:
            piece += data[start:stop]
        if self._inflater is not None:
            self._inflater.inflate(piece, self._payload, self._max_size)
        if self._is_text:
            self._check()

    def finish(self) -> str | bytes:
        """Return the message: all pieces are here.

        Raises:
            InvalidText: the text stops within a character.
            InvalidFrame: the deflated data stops within a block.
            MessageTooBig: it inflated over the size limit.
        """
        if self._inflater is not None:
            self._inflater.finish(self._payload, self._max_size)
        if not self._is_text:
            return bytes(self._payload)
        if cython.compiled and self._is_ascii and self._checked == len(self._payload):
            text = PyUnicode_New(self._checked, 127)  # type: ignore[name-defined]
            source: Any = self._payload
            memcpy(PyUnicode_DATA(text), source, self._checked)  # type: ignore[name-defined]
            return text  # type: ignore[no-any-return]
        return decoded(self._payload)

    def _check(self) -> None:
        """Check what has come since the last time."""
        if cython.compiled:
            text: Any = self._payload
            size = len(self._payload)
            self._checked = ascii_until(text, self._checked, size)  # type: ignore[name-defined]
            if self._checked == size:
                return
        self._is_ascii = False
        self._checked = decoded_until(self._payload, self._checked)
