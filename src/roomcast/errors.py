"""Every error that Roomcast raises.

```
RoomcastError
├── WebSocketError              one connection, through roomcast.WebSocket
│   ├── Disconnected            (OSError)       the connection is over; carries code and reason
│   ├── OutOfOrder              (RuntimeError)  a call that does not fit the connection's state
│   ├── InvalidHandshake        (ValueError)    an answer to the handshake that cannot be given
│   ├── UnexpectedMessage       (TypeError)     binary where text was asked for, or text for binary
│   ├── InvalidJSON             (ValueError)    the peer's text is not JSON
│   ├── UnsupportedData         (TypeError)     a value that no frame can carry was to be sent
│   ├── InvalidClose            (ValueError)    a close code or reason that RFC 6455 does not allow
│   └── ReceiveTimeout          (TimeoutError)  nothing came before the deadline
├── RoomsError                  rooms and their brokers
│   ├── RoomsClosed             (RuntimeError)  the rooms are not open: not entered yet, or left already
│   ├── InvalidRoomName         (ValueError)    a room name that is no name
│   ├── AlreadyJoined           (RuntimeError)  the connection is in that room already
│   ├── LimitReached            (RuntimeError)  a bound on rooms or members was met
│   ├── Unpublishable           (TypeError)     data that is not str, bytes or JSON
│   └── BrokerUnavailable       (ConnectionError) the broker did not take it; nothing was published
└── ConfigurationError          (ValueError)    a setting that cannot be: the message says what would be right
    └── UnknownBroker                           a broker URL whose scheme names no broker
```

Each is also the built-in error that its caller would expect, so `except TimeoutError` and the like work too.
"""

from __future__ import annotations


class RoomcastError(Exception):
    """The root: whatever Roomcast raises on purpose is one of these."""


class WebSocketError(RoomcastError):
    """Something about one WebSocket connection."""


class Disconnected(WebSocketError, OSError):
    """The connection is over, whoever ended it.

    An OSError, because that is what ASGI lets a server raise from `send` after a disconnect, and what servers
    do not log when it passes through the app.

    Attributes:
        code: the close code, 1005 where the close frame had none, 1006 where there was no close frame.
        reason: the close reason, "" where there was none.
    """

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        said = f" ({reason})" if reason else ""
        super().__init__(f"the connection is over: close code {code}{said}")

    def __reduce__(self) -> tuple[type[Disconnected], tuple[int, str]]:
        return type(self), (self.code, self.reason)


class OutOfOrder(WebSocketError, RuntimeError):
    """A call that does not fit the connection's state, such as `send` before `accept`."""


class InvalidHandshake(WebSocketError, ValueError):
    """An answer to the handshake that cannot be given: a subprotocol not offered, a header or status no good."""


class UnexpectedMessage(WebSocketError, TypeError):
    """The peer sent a binary message where text was asked for, or text where binary was.

    Attributes:
        expected: "text" or "binary".
        message: what came instead; it is not lost.
    """

    def __init__(self, expected: str, message: str | bytes) -> None:
        self.expected = expected
        self.message = message
        unit = "characters" if isinstance(message, str) else "bytes"
        kind = "text" if isinstance(message, str) else "binary"
        super().__init__(f"expected a {expected} message, but a {kind} message of {len(message)} {unit} came")

    def __reduce__(self) -> tuple[type[UnexpectedMessage], tuple[str, str | bytes]]:
        return type(self), (self.expected, self.message)


class InvalidJSON(WebSocketError, ValueError):
    """The peer's message is not JSON.

    Attributes:
        message: the message as it came.
        problem: what is wrong with it.
    """

    def __init__(self, message: str, problem: str) -> None:
        self.message = message
        self.problem = problem
        start = message if len(message) <= 40 else message[:40] + "…"
        super().__init__(f"expected JSON, but {start!r} came: {problem}")

    def __reduce__(self) -> tuple[type[InvalidJSON], tuple[str, str]]:
        return type(self), (self.message, self.problem)


class UnsupportedData(WebSocketError, TypeError):
    """A value that no WebSocket message can carry was to be sent."""


class InvalidClose(WebSocketError, ValueError):
    """A close code or reason that may not be sent (RFC 6455, sections 5.5 and 7.4)."""


class ReceiveTimeout(WebSocketError, TimeoutError):
    """Nothing came before the deadline; the connection goes on.

    Attributes:
        seconds: how long was waited.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"no message came within {seconds:g} s")

    def __reduce__(self) -> tuple[type[ReceiveTimeout], tuple[float]]:
        return type(self), (self.seconds,)


class RoomsError(RoomcastError):
    """Something about rooms."""


class RoomsClosed(RoomsError, RuntimeError):
    """The rooms are not open: `async with rooms:` was not entered yet, or is over."""


class InvalidRoomName(RoomsError, ValueError):
    """A room name that is no name: not a str, empty, or too long."""


class AlreadyJoined(RoomsError, RuntimeError):
    """The connection is a member of that room already."""


class LimitReached(RoomsError, RuntimeError):
    """A bound was met: rooms per connection, or members per room."""


class Unpublishable(RoomsError, TypeError):
    """Data that is neither str, nor bytes, nor anything that JSON can carry."""


class BrokerUnavailable(RoomsError, ConnectionError):
    """The broker did not answer, or refused; the publication did not count."""


class ConfigurationError(RoomcastError, ValueError):
    """A setting that cannot be."""


class UnknownBroker(ConfigurationError):
    """A broker URL whose scheme names no broker."""
