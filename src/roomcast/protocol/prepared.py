"""PreparedMessage: one payload, its encodings made once and kept, however many connections get it."""

from __future__ import annotations


class PreparedMessage:
    """A message on its way to many connections.

    Args:
        data: a text message as `str`, a binary one as `bytes`.
    """

    __slots__ = ("data", "size")

    def __init__(self, data: str | bytes) -> None:
        self.data = data
        self.size = len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
        """The payload's size in bytes."""

    @property
    def event(self) -> dict[str, object]:
        """The ASGI event that sends it: a new one each time, since whoever gets it may change it."""
        kind = "text" if isinstance(self.data, str) else "bytes"
        return {"type": "websocket.send", kind: self.data}
