"""Every error that Roomcast raises.

```
RoomcastError
├── WebSocketError              one connection, through roomcast.WebSocket
│   ├── Disconnected            (OSError)       the connection is over; carries code and reason
│   │   └── Refused                             it was turned away: whoever asked may not come in
│   ├── OutOfOrder              (RuntimeError)  a call that does not fit the connection's state
│   ├── InvalidEvent            (RuntimeError)  an ASGI event that the app may not send, or not now
│   ├── InvalidHandshake        (ValueError)    an answer to the handshake that cannot be given
│   ├── UnexpectedMessage       (TypeError)     binary where text was asked for, or text for binary
│   ├── InvalidJSON             (ValueError)    the peer's text is not JSON
│   ├── UnsupportedData         (TypeError)     a value that no frame can carry was to be sent
│   ├── InvalidClose            (ValueError)    a close code or reason that RFC 6455 does not allow
│   ├── ReceiveTimeout          (TimeoutError)  nothing came before the deadline
│   ├── ProtocolError           (ValueError)    the peer broke RFC 6455 or 7692; carries close code and place
│   │   ├── InvalidFrame                        1002: a frame that may not be, or may not be here
│   │   ├── InvalidText                         1007: text that is not UTF-8
│   │   ├── MessageTooBig                       1009: a message over the size limit
│   │   ├── TooManyFrames                       1008: too many fragments, or too many control frames
│   │   ├── MessageTooLate                      1008: a message that did not come to its end in time
│   │   └── RateExceeded                        4029: too many messages or bytes in a second, after a warning
│   └── HandshakeError                          the opening handshake
│       ├── InvalidHeader       (ValueError)    a header that HTTP does not allow, or that is not the caller's
│       ├── InvalidSubprotocol  (ValueError)    a subprotocol that the client did not offer
│       └── HandshakeFailed     (ConnectionError) the server's response does not open a WebSocket
│           └── HandshakeRefused                it is an HTTP response: a refusal; carries status and body
├── AccessDenied                (PermissionError) who asks may not do this; carries code and status
│   ├── Unauthenticated                         4001, 401: nobody that is known here, or not any more
│   ├── Forbidden                               4003, 403: somebody who is known, and may not
│   └── Undecided                               1013, 503: what decides it raised, is late, or cannot be reached
├── RoomsError                  rooms and their brokers
│   ├── RoomsClosed             (RuntimeError)  the rooms are not open: not entered yet, or left already
│   ├── InvalidRoomName         (ValueError)    a room name that is no name
│   ├── InvalidUserName         (ValueError)    a user's name that is no name
│   ├── InvalidKey              (ValueError)    a publication's key that is no key
│   ├── AlreadyJoined           (RuntimeError)  the connection is in that room already
│   ├── LimitReached            (RuntimeError)  a bound on rooms or members was met
│   ├── Unpublishable           (TypeError)     data that is not str, bytes or JSON
│   └── BrokerUnavailable       (ConnectionError) the broker did not take it; nothing was published
│       └── NotKept                             it was published, but could not be kept: the history lacks it
├── Unreachable                 (ConnectionError) what was to be talked to is not there, or says nothing
└── ConfigurationError          (ValueError)    a setting that cannot be: the message says what would be right
    ├── UnknownBroker                           a broker URL whose scheme names no broker
    └── BrokerInUse                             what the broker needs belongs to another process
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

    An OSError, because that is what ASGI lets a server raise from `send` after a disconnect. Our own server
    does not log it when it passes through the app.

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


class Refused(Disconnected):
    """The connection was turned away, with `code` and `reason`: the handler has nothing more to do."""


class OutOfOrder(WebSocketError, RuntimeError):
    """A call that does not fit the connection's state, such as `send` before `accept`."""


class InvalidEvent(WebSocketError, RuntimeError):
    """An ASGI event that the app may not send at all, or not in this state of the connection."""


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


class ProtocolError(WebSocketError, ValueError):
    """The peer sent what RFC 6455 or RFC 7692 does not allow, or more than this endpoint takes.

    It is not raised into the transport: the connection reports it as its last event, and has the close frame
    with `code` and `reason` ready.

    Attributes:
        code: the close code that answers it.
        reason: what was wrong and what would have been right, at most 123 bytes of UTF-8.
        position: where the frame at fault starts, in bytes since the end of the opening handshake.
    """

    code: int = 1002

    def __init__(self, reason: str, position: int = 0) -> None:
        self.reason = reason
        self.position = position
        super().__init__(reason)

    def __str__(self) -> str:
        return f"{self.reason} (close code {self.code}, in the frame at byte {self.position})"

    def __reduce__(self) -> tuple[type[ProtocolError], tuple[str, int]]:
        return type(self), (self.reason, self.position)


class InvalidFrame(ProtocolError):
    """A frame that may not be, or may not be here (RFC 6455, section 5; RFC 7692, section 6)."""

    code = 1002


class InvalidText(ProtocolError):
    """A text message, or a close reason, that is not UTF-8 (RFC 6455, section 8.1)."""

    code = 1007


class MessageTooBig(ProtocolError):
    """A message over the size limit: as its header announced it, or as it inflated."""

    code = 1009


class TooManyFrames(ProtocolError):
    """More fragments in a message, or more control frames and tiny ones a second, than this endpoint takes."""

    code = 1008


class MessageTooLate(ProtocolError):
    """A message that had begun, and did not come to its end in time."""

    code = 1008


class RateExceeded(ProtocolError):
    """More messages or bytes in a second than this endpoint takes, though the peer was warned."""

    code = 4029


class HandshakeError(WebSocketError):
    """Something about the opening handshake (RFC 6455, section 4)."""


class InvalidHeader(HandshakeError, ValueError):
    """A header that no HTTP message may carry, or that the handshake itself writes."""


class InvalidSubprotocol(HandshakeError, ValueError):
    """The chosen subprotocol is none of those that the client offered (RFC 6455, section 4.2.2)."""


class HandshakeFailed(HandshakeError, ConnectionError):
    """The server's response does not open a WebSocket (RFC 6455, section 4.1).

    Attributes:
        status: the HTTP status of the response, None where the response could not be read as one.
    """

    def __init__(self, problem: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(problem)


class HandshakeRefused(HandshakeFailed):
    """The server answered the handshake with an HTTP response of another status than 101.

    Attributes:
        status: the HTTP status.
        headers: the response's headers, names in lower case.
        body: the response's body, or its first 64 KiB.
    """

    def __init__(
        self,
        problem: str,
        status: int | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(problem, status)
        self.headers = headers
        self.body = body


class AccessDenied(RoomcastError, PermissionError):
    """Who asks may not come in, or may not do what was asked for.

    Its text goes to the client, so it holds nothing that the client may not know.

    Attributes:
        code: the close code.
        status: the HTTP status, where the handshake is not answered yet.
    """

    code: int = 4003
    status: int = 403


class Unauthenticated(AccessDenied):
    """There is no token, or it is no good; or an app's own authenticator knows nobody in this request."""

    code = 4001
    status = 401


class Forbidden(AccessDenied):
    """Somebody who is known wants to do what is not theirs to do."""

    code = 4003
    status = 403


class Undecided(AccessDenied):
    """Nobody can say it now: an app's own rule raised or was late, or the keys of tokens cannot be reached.

    It is a refusal. Whoever comes again later may have more luck.
    """

    code = 1013
    status = 503


class RoomsError(RoomcastError):
    """Something about rooms."""


class RoomsClosed(RoomsError, RuntimeError):
    """The rooms are not open: `async with rooms:` was not entered yet, or is over."""


class InvalidRoomName(RoomsError, ValueError):
    """A room name that is no name: not a str, empty, too long, or with characters that control or turn text."""


class InvalidUserName(RoomsError, ValueError):
    """A user's name that is no name: not a str, empty, too long, or with characters that control or turn text."""


class InvalidKey(RoomsError, ValueError):
    """A publication's key that is no key: not a str, or too long."""


class AlreadyJoined(RoomsError, RuntimeError):
    """The connection is a member of that room already."""


class LimitReached(RoomsError, RuntimeError):
    """A bound was met: rooms per connection, or members per room."""


class Unpublishable(RoomsError, TypeError):
    """Data that is neither str, nor bytes, nor anything that JSON can carry."""


class BrokerUnavailable(RoomsError, ConnectionError):
    """The broker did not answer, or refused; the publication did not count."""


class NotKept(BrokerUnavailable):
    """The publication was carried to the room's members, but could not be kept: the history lacks it.

    The room has a new epoch, so whoever resumes is told that something may be missing. Publishing goes on, and
    keeps again once the broker can. Published again, it would come to the members a second time.
    """


class Unreachable(RoomcastError, ConnectionError):
    """What was to be talked to is not there: no host, nothing that listens, no answer, no trusted certificate."""


class ConfigurationError(RoomcastError, ValueError):
    """A setting that cannot be."""


class UnknownBroker(ConfigurationError):
    """A broker URL whose scheme names no broker."""


class BrokerInUse(ConfigurationError):
    """What the broker needs for itself belongs to another process, which the message names."""
