"""Retention: how much of a room's history is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate

from roomcast.errors import ConfigurationError

MAX_SIZE = 1_000_000
"""The most publications that a room can be told to keep."""
MAX_BYTES = 1 << 29
"""The most bytes of publications that a room can be told to keep."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of a room's history is kept: what is beyond any of the three goes, the oldest first.

    Attributes:
        size: how many publications, 0 to 1,000,000; with 0 none is kept.
        bytes: how many bytes of publications, 0 to 512 MiB. One that is bigger than that alone is not kept.
        age: for how many seconds each is kept, more than 0; `math.inf` for as long as there is room.

    Raises:
        ConfigurationError: for a number that cannot be.
    """

    size: int
    bytes: int
    age: float

    def __post_init__(self) -> None:
        _check("size", self.size, MAX_SIZE)
        _check("bytes", self.bytes, MAX_BYTES)
        if isinstance(self.age, bool) or not isinstance(self.age, int | float) or not self.age > 0:
            raise ConfigurationError(f"a retention's age is a number of seconds above 0, not {self.age!r}")


class Retentions:
    """The retention of each room, by patterns of room names.

    Args:
        retention: one for all rooms; or patterns and theirs, of which the first that matches a room's name counts.
            In a pattern, `*` stands for any characters, `?` for one, `[ab]` for one of those. A room that no
            pattern matches keeps what the broker keeps by itself.

    Raises:
        ConfigurationError: for a pattern or a retention that cannot be.
    """

    def __init__(self, retention: Retention | Mapping[str, Retention] | None = None) -> None:
        if retention is None:
            patterns: Mapping[str, Retention] = {}
        elif isinstance(retention, Retention):
            patterns = {"*": retention}
        elif isinstance(retention, Mapping):
            patterns = retention
        else:
            raise ConfigurationError(
                f"retention is a Retention, or a mapping of room patterns to them, not {retention!r}"
            )
        self._patterns = [(_compiled(pattern), _checked(pattern, kept)) for pattern, kept in patterns.items()]
        if "*" in list(patterns)[:-1]:
            raise ConfigurationError("retention: the pattern '*' matches every room: put it last")

    def of(self, room: str, default: Retention) -> Retention:
        """Give the retention of the room: `default` where no pattern matches its name."""
        return next((kept for pattern, kept in self._patterns if pattern.match(room)), default)

    def longest_age(self, default: Retention) -> float:
        """Give for how many seconds any room keeps anything at the most, `default` among them."""
        return max([default.age, *(kept.age for _, kept in self._patterns)])

    def __repr__(self) -> str:
        return f"Retentions({[(pattern.pattern, kept) for pattern, kept in self._patterns]})"


BY_DEFAULT = Retentions()
"""Every room keeps what its broker keeps by itself."""


def _check(name: str, value: object, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ConfigurationError(f"a retention's {name} is a whole number from 0 to {most:,}, not {value!r}")


def _compiled(pattern: object) -> re.Pattern[str]:
    if not isinstance(pattern, str) or not pattern:
        raise ConfigurationError(f"retention: a room pattern is a str such as 'news.*', not {pattern!r}")
    return re.compile(translate(pattern))


def _checked(pattern: str, retention: object) -> Retention:
    if not isinstance(retention, Retention):
        raise ConfigurationError(f"retention: the pattern {pattern!r} takes a Retention, not {retention!r}")
    return retention
