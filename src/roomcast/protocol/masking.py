"""Masking (RFC 6455, section 5.3): the client's frames are XORed with a key of four bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cython
else:
    from roomcast.protocol import interpreted as cython


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
        masked: bytes = source[start:stop]
        target: Any = masked
        whole = size & ~3
        key0, key1, key2, key3 = source[start - 4], source[start - 3], source[start - 2], source[start - 1]
        for at in range(0, whole, 4):
            target[at] ^= key0
            target[at + 1] ^= key1
            target[at + 2] ^= key2
            target[at + 3] ^= key3
        for at in range(whole, size):
            target[at] ^= source[start - 4 + (at & 3)]
        return masked
    key = (data[start - 4 : start] * ((size + 3) >> 2))[:size]
    return (int.from_bytes(data[start:stop], "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")
