"""A message for many: its encodings are made once and kept."""

from __future__ import annotations

from roomcast.errors import UnsupportedData
from roomcast.protocol.deflate import MINIMUM_SIZE, DeflateParameters, deflate_message
from roomcast.protocol.frames import FIN, RSV1, Opcode, server_frame
from roomcast.protocol.utf8 import encoded


class PreparedMessage:
    """One message to send to many connections.

    Each encoding is made when it is first asked for. A room of thousands makes the plain frame once, and the
    deflated one once for each set of parameters that its members agreed on.

        message = PreparedMessage("hello")
        for connection in connections:
            write(connection.send_prepared(message))

    Args:
        data: `str` for a text message, `bytes` for a binary one.

    Attributes:
        data: what was given.
        is_text: whether it is a text message.
        payload: what a frame carries: the message, text as UTF-8.

    Raises:
        UnsupportedData: `data` is neither `str` nor `bytes`, or text that UTF-8 has no bytes for.
    """

    __slots__ = ("_deflated", "_frame", "data", "is_text", "payload")

    def __init__(self, data: str | bytes) -> None:
        if not isinstance(data, str | bytes):
            raise UnsupportedData(f"a message is str or bytes, not {type(data).__name__}")
        self.data = data
        self.is_text = isinstance(data, str)
        self.payload = encoded(data) if isinstance(data, str) else data
        self._frame: bytes | None = None
        self._deflated: dict[tuple[int, int, int], bytes] | None = None

    @property
    def size(self) -> int:
        """How many bytes of payload it has."""
        return len(self.payload)

    @property
    def event(self) -> dict[str, object]:
        """The ASGI event that sends it: a new one each time, since whoever gets it may change it."""
        return {"type": "websocket.send", "text" if self.is_text else "bytes": self.data}

    def frame(self) -> bytes:
        """Return the server's frame, not deflated."""
        if self._frame is None:
            self._frame = server_frame(FIN | self._opcode, self.payload)
        return self._frame

    def deflated_frame(self, parameters: DeflateParameters) -> bytes:
        """Return the server's frame, deflated on its own, for connections that agreed on `parameters`.

        It is the plain frame where the message has under 128 bytes, or does not get smaller. A connection
        that keeps its own compressor from message to message must drop it when it sends this: that is what
        `Connection.send_prepared` does.
        """
        if len(self.payload) < MINIMUM_SIZE:
            return self.frame()
        key = (parameters.server_max_window_bits, parameters.level, parameters.memory_level)
        if self._deflated is None:
            self._deflated = {}
        frame = self._deflated.get(key)
        if frame is None:
            deflated = deflate_message(self.payload, *key)
            smaller = len(deflated) < len(self.payload)
            frame = server_frame(FIN | RSV1 | self._opcode, deflated) if smaller else self.frame()
            self._deflated[key] = frame
        return frame

    @property
    def _opcode(self) -> Opcode:
        return Opcode.TEXT if self.is_text else Opcode.BINARY
