"""Limits: how many connections there may be, how fast they come, and how much each may send.

What one message, one frame or one request may be is the server's to bound: see `roomcast.server.settings`.
"""

from __future__ import annotations

import math
import os
import time
from collections import OrderedDict
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple, Self

from roomcast import jsontext
from roomcast.addresses import address_of
from roomcast.counts import Reason, counts
from roomcast.errors import ConfigurationError
from roomcast.server.rate import BURST_SECONDS, Rate
from roomcast.server.settings import read_number

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NUMBERS", "Admissions", "Denial", "Limits", "Reason", "address_of", "counts"]

MAX_ADDRESSES = 20_000
"""Of how many addresses it is known how fast they came lately: of those that came last."""
FAULT_SECONDS = 2.0
"""How many seconds' worth of handshakes an address loses for a connection that was ended for what came over it."""
MOST_FAULT_SECONDS = 20.0
"""How many it loses at the most, however many such connections there were: others may have the same address."""
WARNING = jsontext.dumps(
    {"type": "error", "message": "Too much at once: send less, or the server ends the connection."}
)
"""The warning before a connection is closed for its rate, unless told otherwise: the chat's page shows it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a guard lets through. Each is None where there is to be no such limit.

    All are those of one process: with `--workers 4`, up to four times as much is let through. An address is an
    IPv4 address, or the first 64 bits of an IPv6 one, of which whoever has one has all.

    Attributes:
        max_connections: how many connections there may be; then 503.
        max_connections_per_address: how many of them may come from one address; then 429.
        handshakes_per_second: how many connections an address may open in a second, and four times that at once;
            then 429.
        messages_per_second: how many messages a connection may send in a second, and four times that at once,
            where it was quiet for four seconds; then a warning, then 4029.
        bytes_per_second: how many bytes a connection may send in a second, and four times that at once; then a
            warning, then 4029.
        warning: the message that warns; None warns nobody.
    """

    max_connections: int | None = 10_000
    max_connections_per_address: int | None = 200
    handshakes_per_second: float | None = 20
    messages_per_second: float | None = 50
    bytes_per_second: int | None = 1024 * 1024
    warning: str | None = WARNING

    def __post_init__(self) -> None:
        for name in NUMBERS:
            number = getattr(self, name)
            if number is not None and not (number > 0 and math.isfinite(number)):
                raise ConfigurationError(f"{name} is {number}: it must be a number over 0, or None for no limit")

    @classmethod
    def none(cls) -> Self:
        """No limits at all, for benchmarks and load tests."""
        return cls(**dict.fromkeys(NUMBERS))

    @classmethod
    def from_environment(cls) -> Self:
        """Take what the environment sets (`ROOMCAST_MAX_CONNECTIONS=500`, or `off`), and the defaults.

        Raises:
            ConfigurationError: a variable is neither a number over 0 nor `off`; the message says which.
        """
        given: dict[str, float | int | None] = {}
        for name, number in NUMBERS.items():
            variable = f"ROOMCAST_{name.upper()}"
            text = os.environ.get(variable)
            if text is not None:
                given[name] = read_number(variable, text, number, can_be_off=True)
        return cls(**given)  # type: ignore[arg-type]

    def rate(self, clock: Callable[[], float]) -> Rate | None:
        """Make the bucket of one connection; None where nothing bounds its rate."""
        if self.messages_per_second is None and self.bytes_per_second is None:
            return None
        return Rate(self.messages_per_second, self.bytes_per_second, clock)


NUMBERS: dict[str, type[int | float]] = {
    limit.name: float if limit.name in {"handshakes_per_second", "messages_per_second"} else int
    for limit in fields(Limits)
    if limit.name != "warning"
}
"""The limits that are numbers, and of which kind."""


class Denial(NamedTuple):
    """Why a connection is not let in.

    Attributes:
        status: the HTTP status.
        reason: why, in words.
        retry_after: after how many seconds it may be let in.
    """

    status: int
    reason: str
    retry_after: int


class Admissions:
    """Counts connections: those that there are, and how fast they come from one address.

    Args:
        limits: how many may be.
        clock: returns seconds that never go back.
    """

    __slots__ = ("_addresses", "_arrivals", "_clock", "_connections", "_limits")

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._connections = 0
        self._addresses: dict[str, int] = {}
        self._arrivals: OrderedDict[str, float] = OrderedDict()

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return self._connections

    def enter(self, address: str | None) -> Denial | None:
        """Let a connection in, which is to `leave` then, or say why not.

        Args:
            address: whose it is, as `address_of` gives it; None where that is not known, and not counted.
        """
        limits = self._limits
        if address is not None:
            wait = self._wait(address)
            if wait > 0:
                counts[Reason.HANDSHAKE_RATE] += 1
                return Denial(
                    429, "too many connections in too short a time: wait, and come back", math.ceil(wait)
                )
            most = limits.max_connections_per_address
            if most is not None and self._addresses.get(address, 0) >= most:
                counts[Reason.CONNECTIONS_PER_ADDRESS] += 1
                return Denial(429, f"too many connections from your address: {most} may be open at once", 10)
        if limits.max_connections is not None and self._connections >= limits.max_connections:
            counts[Reason.CONNECTIONS] += 1
            return Denial(503, "too many connections: come back later", 5)
        self._connections += 1
        if address is not None:
            self._addresses[address] = self._addresses.get(address, 0) + 1
        return None

    def leave(self, address: str | None) -> None:
        """Let a connection go that was let in."""
        self._connections -= 1
        if address is None:
            return
        left = self._addresses[address] - 1
        if left:
            self._addresses[address] = left
        else:
            del self._addresses[address]

    def charge(self, address: str | None) -> None:
        """Take `FAULT_SECONDS` of handshakes from the address of one that was ended for what its peer did.

        Else, who breaks the rules could do so again at once, and as often as it may connect.
        """
        if address is None or self._limits.handshakes_per_second is None:
            return
        now = self._clock()
        full_at = max(now, self._arrivals.get(address, now)) + FAULT_SECONDS
        self._arrivals[address] = min(full_at, now + MOST_FAULT_SECONDS)
        self._arrivals.move_to_end(address)

    def _wait(self, address: str) -> float:
        """Count a handshake, and give for how many seconds its address should have waited before it.

        For each address there is one number: when a bucket that runs out by one for each handshake, and fills with
        time, is full again. An address whose bucket is full needs none.
        """
        rate = self._limits.handshakes_per_second
        if rate is None:
            return 0.0
        now = self._clock()
        full_at = max(now, self._arrivals.get(address, now)) + 1 / rate
        wait = full_at - now - max(BURST_SECONDS, 1 / rate)
        if wait > 1e-9:
            return wait
        self._arrivals[address] = full_at
        self._arrivals.move_to_end(address)
        while self._arrivals:
            oldest, is_full_at = next(iter(self._arrivals.items()))
            if is_full_at > now and len(self._arrivals) <= MAX_ADDRESSES:
                break
            del self._arrivals[oldest]
        return 0.0
