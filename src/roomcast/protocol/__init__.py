"""RFC 6455 and RFC 7692 without I/O: bytes in, events out; messages in, bytes out."""

from __future__ import annotations

from roomcast.protocol.connection import COMPILED


def compiled() -> bool:
    """Say whether the hot path runs compiled; else the same source runs interpreted."""
    return COMPILED
