"""Masking (RFC 6455, section 5.3): the client's frames are XORed with a key of four bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cython
else:
    from roomcast.protocol import interpreted as cython

    if cython.compiled:
        from cython.cimports.cpython.bytearray import PyByteArray_Resize
        from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
        from cython.cimports.cpython.unicode import PyUnicode_1BYTE_DATA, PyUnicode_New

_BLOCK = 4096
"""How many bytes are looked at together for one that is not ASCII: they are in the first cache still."""


def mask(data: bytes, start: int, stop: int) -> bytes:
    """Return `data[start:stop]` XORed with the masking key, which is the four bytes before `start`.

    That is where a frame has its key, so a frame is unmasked in place in what came from the network. The
    operation is its own inverse: it masks as it unmasks.

    Args:
        data: what holds the key and, right behind it, the payload.
        start: where the payload starts, at least 4.
        stop: where the payload stops, at most `len(data)`.
    """
    size = stop - start
    if cython.compiled:
        # One and no bytes are objects that the whole interpreter shares: they must not be written to.
        if size < 2:
            return bytes((data[start] ^ data[start - 4],)) if size else b""
        source: Any = data
        masked: bytes = PyBytes_FromStringAndSize(cython.NULL, size)  # type: ignore[name-defined]
        target: Any = masked
        source += start
        xor_into(target, source, source - 4, size)
        return masked
    return _xor(data[start:stop], data[start - 4 : start])


def unmask_text(data: bytes, start: int, stop: int) -> str:
    """Return the text of `data[start:stop]`, unmasked as `mask` does it.

    ASCII is written where it is to stay, without a copy between.

    Args:
        data: what holds the key and, right behind it, the payload.
        start: where the payload starts, at least 4.
        stop: where the payload stops, at most `len(data)`.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    if cython.compiled:
        size = stop - start
        if size > 0:
            text = PyUnicode_New(size, 127)  # type: ignore[name-defined]
            source: Any = data
            target: Any = PyUnicode_1BYTE_DATA(text)  # type: ignore[name-defined]
            source += start
            if xor_ascii_into(target, source, source - 4, size) == size:
                return text  # type: ignore[no-any-return]
    return mask(data, start, stop).decode()


def mask_onto(message: bytearray, data: bytes, start: int, stop: int, key: bytes) -> None:
    """Append `data[start:stop]`, XORed with a masking key, to what came of a message before.

    It is written where it is to stay, without a copy between.

    Args:
        message: what it is appended to.
        data: what came.
        start: where the piece starts.
        stop: where the piece stops, at most `len(data)`.
        key: four bytes, the first of which is for the first byte of the piece.
    """
    if cython.compiled:
        size = stop - start
        before = len(message)
        PyByteArray_Resize(message, before + size)  # type: ignore[name-defined]
        source: Any = data
        target: Any = message
        source += start
        target += before
        key_bytes: Any = key
        xor_into(target, source, key_bytes, size)
    else:
        message += _xor(data[start:stop], key)


def xor_into(target: Any, source: Any, key: Any, size: int) -> None:  # noqa: ANN401 - pointers
    """Write `size` bytes at `source`, XORed, to `target`. Only where this is compiled."""
    key0, key1, key2, key3 = key[0], key[1], key[2], key[3]
    whole = size & ~3
    for at in range(0, whole, 4):
        target[at] = source[at] ^ key0
        target[at + 1] = source[at + 1] ^ key1
        target[at + 2] = source[at + 2] ^ key2
        target[at + 3] = source[at + 3] ^ key3
    for at in range(whole, size):
        target[at] = source[at] ^ key[at & 3]


def xor_ascii_into(target: Any, source: Any, key: Any, size: int) -> int:  # noqa: ANN401 - pointers
    """Do as `xor_into` does until what comes out is not ASCII, and return how much is."""
    done = 0
    while done < size:
        stop = min(done + _BLOCK, size)
        xor_into(target + done, source + done, key, stop - done)
        if ascii_until(target, done, stop) < stop:
            break
        done = stop
    return done


def ascii_until(text: Any, start: int, stop: int) -> int:  # noqa: ANN401 - a pointer
    """Say how far the text from `start` to `stop` is ASCII, in whole blocks. Only where this is compiled."""
    while start < stop:
        end = min(start + _BLOCK, stop)
        bits = 0
        for at in range(start, end):
            bits |= text[at]
        if bits > 127:
            break
        start = end
    return start


def _xor(data: bytes, key: bytes) -> bytes:
    size = len(data)
    repeated = (key * ((size + 3) >> 2))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")
