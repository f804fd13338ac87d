"""The close codes that Roomcast sends, and what a client should do on each.

Codes below 4000 are RFC 6455's (section 7.4.1) and its registry's. Codes from 4000 on are ours, in two
ranges that a client can tell apart without knowing the single code:

- 4000 to 4019: do not reconnect before something else has changed (a token, a name).
- 4020 to 4039: come back after a delay, and resume.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Advice(StrEnum):
    """What a client should do after a close."""

    DONE = "done"
    """Both sides had finished."""
    STOP = "stop"
    """Do not come back: the same attempt would end the same way."""
    RESUME = "resume"
    """Come back after a growing, jittered delay, and resume from the last position."""


class CloseCode(IntEnum):
    """Close codes by name."""

    NORMAL = 1000
    """The conversation has ended as it should."""
    GOING_AWAY = 1001
    """The server or the page goes away."""
    PROTOCOL_ERROR = 1002
    """A frame that RFC 6455 does not allow."""
    UNSUPPORTED_DATA = 1003
    """A kind of message that this endpoint does not take."""
    NO_STATUS = 1005
    """Never sent: what is reported where the close frame had no code."""
    ABNORMAL = 1006
    """Never sent: what is reported where the connection was lost without a close frame."""
    INVALID_DATA = 1007
    """A message that is not what its type says, such as text that is not UTF-8."""
    POLICY_VIOLATION = 1008
    """A rule of this endpoint was broken, and no closer code fits."""
    TOO_BIG = 1009
    """A message over the size limit."""
    INTERNAL_ERROR = 1011
    """The handler raised."""
    SERVICE_RESTART = 1012
    """The server restarts."""
    TRY_AGAIN_LATER = 1013
    """The server is overloaded."""

    BAD_REQUEST = 4000
    """The request cannot be served as it was made: a room or user name that is no name."""
    UNAUTHORIZED = 4001
    """No token, or a bad one."""
    FORBIDDEN = 4003
    """The token does not allow this."""
    NOT_FOUND = 4004
    """There is no WebSocket at this path."""
    REMOVED = 4005
    """The app has disconnected this user."""
    ROOM_CLOSED = 4006
    """A room that the connection was in was closed."""
    TOO_SLOW = 4020
    """The member did not read what was sent to it, until its outbox was full."""
    MISSED = 4021
    """Publications of a room could not be brought to this member, and it is to come back and resume."""
    RATE_LIMITED = 4029
    """Too many messages or bytes a second."""

    @property
    def advice(self) -> Advice:
        """What a client should do on this code."""
        return advice(self)


_STOP = frozenset({1002, 1003, 1007, 1008, 1009, 1010})


def advice(code: int) -> Advice:
    """Say what a client should do after a close with `code`, whether Roomcast sent it or not."""
    if code == CloseCode.NORMAL:
        return Advice.DONE
    if code in _STOP or CloseCode.BAD_REQUEST <= code < CloseCode.TOO_SLOW:
        return Advice.STOP
    return Advice.RESUME


def may_be_sent(code: int) -> bool:
    """Say whether an endpoint may put `code` into a close frame (RFC 6455, section 7.4; IANA's registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def meaning(code: int) -> str:
    """Say in words what a close code means, whoever sent it: a clause without a full stop."""
    said = _MEANINGS.get(code)
    if said is not None:
        return said
    if CloseCode.BAD_REQUEST <= code < CloseCode.TOO_SLOW:
        return "the server turned this connection away, and would do so again"
    if CloseCode.TOO_SLOW <= code < 4040:
        return "the server let this connection go, which may come back and resume"
    if 3000 <= code <= 3999:
        return "a code of a library or framework, registered with IANA"
    if 4000 <= code <= 4999:
        return "a code of the application's own"
    return "a code that no standard gives a meaning"


_MEANINGS = {
    1000: "the conversation has ended as it should",
    1001: "the other side goes away: a server that stops, or a page that is left",
    1002: "a frame came that RFC 6455 does not allow",
    1003: "a kind of message came that this endpoint does not take",
    1005: "the close frame had no code",
    1006: "the connection was lost without a close frame",
    1007: "a message came that is not what its type says, such as text that is not UTF-8",
    1008: "a rule of this endpoint was broken",
    1009: "a message came that is over the size limit",
    1010: "the client missed an extension that it needs",
    1011: "something failed in the server",
    1012: "the server restarts",
    1013: "the server is overloaded",
    1014: "a gateway on the way got a bad answer from the server behind it",
    1015: "there was no TLS connection",
    3000: "the client has to say who it is",
    3003: "the client may not do this",
    3008: "something took too long",
    4000: "the request cannot be served as it was made, such as with a name that is none",
    4001: "there was no token, or a bad one",
    4003: "the token does not allow this",
    4004: "there is no WebSocket at this path",
    4005: "the app has disconnected this user",
    4006: "the room was closed",
    4020: "the client did not read what was sent to it, until too much waited for it",
    4021: "something of a room could not be brought to the client, and it is to come back for it",
    4029: "too many messages or bytes a second",
}
"""The codes of RFC 6455 and of its registry at IANA, and those of `CloseCode`."""
