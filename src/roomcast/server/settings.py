"""Settings: every limit and deadline of the server half, with its default."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Self

from roomcast.errors import ConfigurationError
from roomcast.protocol.connection import DEFAULT_MAX_CONTROL_FRAMES, DEFAULT_MAX_FRAGMENTS
from roomcast.protocol.negotiation import DeflateOptions


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits in bytes or counts, deadlines in seconds.

    Each can be set in the environment as `ROOMCAST_WS_` and its name in capitals, such as
    `ROOMCAST_WS_SEND_TIMEOUT=5`. The size of a message, the pings and whether to compress are uvicorn's to
    set: `--ws-max-size`, `--ws-ping-interval`, `--ws-ping-timeout`, `--ws-per-message-deflate`.

    Attributes:
        inbound_bytes: how much of what the peer sent may wait for the app; reading pauses there.
        outbound_bytes: how much may wait for the peer to read. A room's message that does not fit closes the
            connection with 4020; the app's own `send` waits.
        max_fragments: the most frames in one message; 1008.
        max_control_frames: the most pings and pongs in a second; 1008.
        handshake_timeout: how long the app may take to answer a handshake; then 503.
        send_timeout: how long `send` waits for a peer that does not read; then 4020.
        close_timeout: how long the peer's close frame is waited for, and queues drain; then the socket closes.
        deflate: what is wanted of permessage-deflate.
    """

    inbound_bytes: int = 256 * 1024
    outbound_bytes: int = 1024 * 1024
    max_fragments: int = DEFAULT_MAX_FRAGMENTS
    max_control_frames: int = DEFAULT_MAX_CONTROL_FRAMES
    handshake_timeout: float = 10.0
    send_timeout: float = 20.0
    close_timeout: float = 10.0
    deflate: DeflateOptions = field(default_factory=DeflateOptions)

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            number = getattr(self, name)
            if not (number > 0 and isfinite(number)):
                raise ConfigurationError(f"{name} is {number}: it must be a number over 0")

    @classmethod
    def from_environment(cls) -> Self:
        """Take what the environment sets, and the defaults.

        Raises:
            ConfigurationError: a variable is no positive number; the message says which.
        """
        given: dict[str, int | float] = {}
        for name, number in _NUMBERS.items():
            variable = f"ROOMCAST_WS_{name.upper()}"
            text = os.environ.get(variable)
            if text is None:
                continue
            try:
                given[name] = number(text)
                cls(**{name: given[name]})  # type: ignore[arg-type]
            except ValueError:
                kind = "whole number" if number is int else "number"
                raise ConfigurationError(f"{variable} is {text!r}: it must be a {kind} over 0") from None
        return cls(**given)  # type: ignore[arg-type]


_NUMBERS: dict[str, type[int | float]] = {
    setting.name: float if setting.name.endswith("_timeout") else int
    for setting in fields(Settings)
    if setting.name != "deflate"
}
