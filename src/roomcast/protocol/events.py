"""What `Connection.receive_data` reports beside messages, which are plain `str` and `bytes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from roomcast.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping came. Its pong is in `data_to_send` already.

    Attributes:
        payload: what it carried, at most 125 bytes.
    """

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """A pong came, asked for or not.

    Attributes:
        payload: what it carried, at most 125 bytes: that of the ping it answers.
    """

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is over. No event follows.

    Attributes:
        code: the code of the peer's close frame, 1005 where it had none, 1006 where no close frame came.
        reason: its reason, "" where there was none.
    """

    code: int
    reason: str


Event: TypeAlias = str | bytes | Ping | Pong | Close | ProtocolError
"""A text message, a binary message, or what else happened. A ProtocolError is the last, as a Close is."""
