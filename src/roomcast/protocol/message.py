"""A message that is on its way: not all of it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.errors import TooManyFrames
from roomcast.protocol.utf8 import decoded, decoded_until

if TYPE_CHECKING:
    from roomcast.protocol.deflate import Inflater


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

    __slots__ = ("_checked", "_fragments_left", "_inflater", "_is_text", "_max_size", "_payload")

    def __init__(self, is_text: bool, inflater: Inflater | None, max_size: int, max_fragments: int) -> None:
        self._is_text = is_text
        self._inflater = inflater
        self._max_size = max_size
        self._fragments_left = max_fragments
        self._payload = bytearray()
        self._checked = 0

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

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the payload, unmasked.

        Raises:
            InvalidText: it cannot become UTF-8 any more.
            InvalidFrame: it cannot be inflated.
            MessageTooBig: it inflated over the size limit.
        """
        if self._inflater is None:
            self._payload += piece
        else:
            self._inflater.inflate(piece, self._payload, self._max_size)
        if self._is_text:
            self._checked = decoded_until(self._payload, self._checked)

    def finish(self) -> str | bytes:
        """Return the message: all pieces are here.

        Raises:
            InvalidText: the text stops within a character.
            InvalidFrame: the deflated data stops within a block.
            MessageTooBig: it inflated over the size limit.
        """
        if self._inflater is not None:
            self._inflater.finish(self._payload, self._max_size)
        return decoded(self._payload) if self._is_text else bytes(self._payload)
