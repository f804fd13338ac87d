"""Settings: every limit and deadline of the server half, with its default."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Self

from roomcast.errors import ConfigurationError
from roomcast.protocol.connection import DEFAULT_MAX_CONTROL_FRAMES, DEFAULT_MAX_FRAGMENTS
from roomcast.protocol.negotiation import DeflateOptions

OFF = "off"
"""What switches a limit off in the environment and on the command line."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits in bytes or counts, deadlines in seconds; None, where it may be, is no limit.

    Each can be set in the environment as `ROOMCAST_WS_` and its name in capitals, such as
    `ROOMCAST_WS_SEND_TIMEOUT=5`; `off` is None. The size of a message, the pings and whether to compress are
    uvicorn's to set: `--ws-max-size`, `--ws-ping-interval`, `--ws-ping-timeout`, `--ws-per-message-deflate`.
    `max_waiting`, `request_timeout` and what becomes of plain HTTP are our HTTP class's to hold.

    Attributes:
        inbound_bytes: how much of what the peer sent may wait for the app; reading pauses there.
        outbound_bytes: how much may wait for the peer to read. A room's message that does not fit closes the
            connection with 4020; the app's own `send` waits.
        max_fragments: the most frames in one message; 1008.
        max_control_frames: the most pings, pongs and tiny fragments in a second; 1008.
        max_url_bytes: the longest URL of a request; 414.
        max_header_bytes: the most bytes in the headers of a request; 431.
        max_waiting: on how many sockets a request may be awaited at once; then the one that has waited longest is
            closed.
        request_timeout: how long a request may take to come; then 408.
        message_timeout: how long a message may take, from its first byte to its last; then 1008.
        handshake_timeout: how long the app may take to answer a handshake; then 503.
        send_timeout: how long `send` waits for a peer that does not read; then 4020.
        close_timeout: how long the peer's close frame is waited for, and queues drain; then the socket closes.
        drain: how long a server that goes takes for its connections, at the most: they are closed over that time,
            and not all in the same second. `roomcast serve --drain` sets it, too; uvicorn's own
            `--timeout-graceful-shutdown`, where it is less, goes before.
        deflate: what is wanted of permessage-deflate.
    """

    inbound_bytes: int | None = 256 * 1024
    outbound_bytes: int | None = 1024 * 1024
    max_fragments: int | None = DEFAULT_MAX_FRAGMENTS
    max_control_frames: int | None = DEFAULT_MAX_CONTROL_FRAMES
    max_url_bytes: int | None = 8 * 1024
    max_header_bytes: int | None = 64 * 1024
    max_waiting: int | None = 4096
    request_timeout: float | None = 10.0
    message_timeout: float | None = 60.0
    handshake_timeout: float | None = 10.0
    send_timeout: float | None = 20.0
    close_timeout: float | None = 10.0
    drain: float = 10.0
    deflate: DeflateOptions = field(default_factory=DeflateOptions)

    def __post_init__(self) -> None:
        for name in NUMBERS:
            number = getattr(self, name)
            if number is None and name in CAN_BE_OFF:
                continue
            if number is None or not (number > 0 and isfinite(number)):
                raise ConfigurationError(f"{name} is {number}: it must be a number over 0")

    @classmethod
    def from_environment(cls) -> Self:
        """Take what the environment sets, and the defaults.

        Raises:
            ConfigurationError: a variable is no number over 0, nor `off` where it may be; the message says which.
        """
        given: dict[str, int | float | None] = {}
        for name, number in NUMBERS.items():
            variable = f"ROOMCAST_WS_{name.upper()}"
            text = os.environ.get(variable)
            if text is not None:
                given[name] = read_number(variable, text, number, can_be_off=name in CAN_BE_OFF)
        return cls(**given)  # type: ignore[arg-type]

    def is_too_long(self, url_bytes: int, head_bytes: int) -> bool:
        """Whether a request has too long a URL, or too long a head with it.

        Args:
            url_bytes: how long its URL is.
            head_bytes: how long all is that stands before its body.
        """
        if self.max_url_bytes is not None and url_bytes > self.max_url_bytes:
            return True
        return self.max_header_bytes is not None and head_bytes - url_bytes > self.max_header_bytes


NUMBERS: dict[str, type[int | float]] = {
    setting.name: float if isinstance(setting.default, float) else int
    for setting in fields(Settings)
    if setting.name != "deflate"
}
"""The settings that are numbers, and of which kind."""

CAN_BE_OFF = frozenset(setting.name for setting in fields(Settings) if "None" in str(setting.type))
"""The settings that can be None."""

KEPT = frozenset({"inbound_bytes", "outbound_bytes", "handshake_timeout", "send_timeout", "close_timeout"})
"""The settings that bound what waits. `--no-limits` leaves them: else a load test would measure another server."""

UNLIMITED = 1 << 62
"""What has no limit has this: more than there can be, and still a number that C has."""


def read_number(what: str, text: str, number: type[int | float], *, can_be_off: bool) -> int | float | None:
    """Read a limit as a person writes it: a number over 0, or `off`, which gives None.

    Args:
        what: what it is called, for the error.
        text: what was written.
        number: `int`, or `float` where it may have a fraction.
        can_be_off: whether it may be `off`.

    Raises:
        ConfigurationError: it is neither.
    """
    if can_be_off and text.strip().lower() == OFF:
        return None
    try:
        found = number(text)
    except ValueError:
        found = 0
    if not (found > 0 and isfinite(found)):
        kind = "whole number" if number is int else "number"
        raise ConfigurationError(
            f"{what} is {text!r}: it must be a {kind} over 0{f', or {OFF}' if can_be_off else ''}"
        )
    return found
