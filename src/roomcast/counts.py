"""Counts: how often who was refused, cut off or warned, by reason, in this process since it started."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum


class Reason(StrEnum):
    """Why somebody was refused, cut off or warned, with the status or the close code that told so."""

    ORIGIN = "origin"
    """403: a browser came with a page of another origin."""
    CONNECTIONS = "connections"
    """503: there are as many connections as may be."""
    CONNECTIONS_PER_ADDRESS = "connections_per_address"
    """429: the address has as many connections as it may."""
    HANDSHAKE_RATE = "handshake_rate"
    """429: the address opens connections too fast."""
    WAITING = "waiting"
    """Closed: of too many sockets on which no request was, this one had waited longest."""
    REQUEST_TIMEOUT = "request_timeout"
    """408: a request did not come to its end in time."""
    REQUEST_SIZE = "request_size"
    """414, 431: a URL or a request's headers were too long."""
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    """503: the app did not answer a handshake in time."""
    EARLY_DATA = "early_data"
    """Cut off: a client sent too much before its handshake was answered."""
    RATE_WARNING = "rate_warning"
    """Warned: too many messages or bytes came in a second."""
    RATE = "rate"
    """4029: too many messages or bytes came in a second, and the warning did not help."""
    MESSAGE_TIMEOUT = "message_timeout"
    """1008: a message did not come to its end in time."""
    MESSAGE_SIZE = "message_size"
    """1009: a message was too long, as it came or as it inflated."""
    FRAMES = "frames"
    """1008: a message in too many fragments, or too many control frames and tiny fragments in a second."""
    PROTOCOL = "protocol"
    """1002, 1007: what RFC 6455 and RFC 7692 do not allow."""
    SLOW = "slow"
    """4020: what was sent was not read."""
    SILENT = "silent"
    """1006: a ping was not answered."""
    CLOSE_TIMEOUT = "close_timeout"
    """Cut off: the peer did not end a closed connection in time, or went on sending."""
    ROOMS_PER_CONNECTION = "rooms_per_connection"
    """`LimitReached`: a connection wanted to be in too many rooms."""
    MEMBERS_PER_ROOM = "members_per_room"
    """`LimitReached`: a room was full."""
    MESSAGE_LENGTH = "message_length"
    """An error: a message of the chat had too many characters."""


counts: Counter[Reason] = Counter(dict.fromkeys(Reason, 0))
"""How often each has happened in this process."""
