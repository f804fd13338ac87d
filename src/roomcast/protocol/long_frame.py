"""A message in one frame that comes in pieces, as nearly all large ones do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast.protocol.message import IncomingMessage
from roomcast.protocol.utf8 import decoded, decoded_until

if TYPE_CHECKING:
    import cython
else:
    from roomcast.protocol import interpreted as cython

    if cython.compiled:
        from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
        from cython.cimports.cpython.unicode import PyUnicode_1BYTE_DATA, PyUnicode_New
        from cython.cimports.libc.string import memcpy
        from cython.cimports.roomcast.protocol.masking import xor_ascii_into, xor_into

_AHEAD = 4
"""How much room there is at the most, as a multiple of what has come: a header alone reserves nothing."""
_NO_KEY = b"\x00\x00\x00\x00"


class LongFrame(IncomingMessage):
    """Writes every piece where it is to stay: in the `bytes` or the `str` that is given in the end.

    That is of use where the length is known and nothing is to be inflated, and can be done only where this is
    compiled. A text is taken for ASCII as long as it can be.

    Args:
        is_text: a text message; else a binary one.
        length: how many bytes the message has.
    """

    __slots__ = ("_held", "_length", "_room", "_written")

    def __init__(self, is_text: bool, length: int) -> None:
        super().__init__(is_text, None, length, 1)
        self._is_ascii = is_text
        self._length = length
        self._written = 0
        self._room = 0
        self._held: Any = None

    def feed(self, data: bytes, start: int, stop: int, key: bytes) -> None:
        """Take the next piece of the payload, as that of any other message."""
        size = stop - start
        needed = self._written + size
        if needed > self._room:
            self._reserve(min(self._length, needed * _AHEAD))
        source: Any = data
        source += start
        key_bytes: Any = key or _NO_KEY
        done = 0
        if self._is_ascii:
            done = xor_ascii_into(self._end(), source, key_bytes, size)  # type: ignore[name-defined]
            self._written += done
            self._checked = self._written
            if done < size:
                self._is_ascii = False
                self._reserve(self._room)
        if done < size:
            xor_into(self._end(), source + done, key_bytes, size - done)  # type: ignore[name-defined]
            self._written = needed
            if self._is_text:
                with memoryview(self._held) as held, held[:needed] as text:
                    self._checked = decoded_until(text, self._checked)

    def finish(self) -> str | bytes:
        """Return the message: all pieces are here."""
        if self._is_text and not self._is_ascii:
            return decoded(self._held)
        return self._held  # type: ignore[no-any-return]

    def _reserve(self, room: int) -> None:
        """Go on in an object of `room` bytes: a `str` where all is ASCII so far, else a `bytes`."""
        came = self._held
        start: Any = self._start()
        if self._is_ascii:
            self._held = PyUnicode_New(room, 127)  # type: ignore[name-defined]
        else:
            self._held = PyBytes_FromStringAndSize(cython.NULL, room)  # type: ignore[name-defined]
        self._room = room
        if came is not None:
            memcpy(self._start(), start, self._written)  # type: ignore[name-defined]

    def _start(self) -> Any:  # noqa: ANN401 - a pointer
        if self._held is None:
            return cython.NULL
        if type(self._held) is str:
            return PyUnicode_1BYTE_DATA(self._held)  # type: ignore[name-defined]
        exact: bytes = self._held
        start: Any = exact
        return start

    def _end(self) -> Any:  # noqa: ANN401 - a pointer
        return self._start() + self._written
