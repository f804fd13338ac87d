"""Identity: who somebody is, and what they may do in which room."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import translate
from math import isfinite
from typing import Any

from roomcast.errors import ConfigurationError, Unauthenticated
from roomcast.rooms.names import check_user_name

MOST_PATTERNS = 256
"""How many patterns of room names one identity may have."""


class Action(StrEnum):
    """What may be done in a room. An app may have others of its own, which are any strings."""

    JOIN = "join"
    """Be in it, and hear what is said."""
    PUBLISH = "publish"
    """Say something there."""
    PRESENCE = "presence"
    """Be told who is in it, and who comes and goes."""
    HISTORY = "history"
    """Be given what was said before."""


EVERYTHING: Collection[str] = tuple(Action)
"""All that Roomcast itself asks for."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who is known.

    Attributes:
        user: the user, as `Rooms.join` takes it: 1 to 255 characters, none of them a control character.
        name: the name to show, None where there is none.
        rooms: what the user may do: patterns of room names, and the actions that each allows. All that match a
            room count. In a pattern, `*` stands for any characters, `?` for one, `[ab]` for one of those.
        expires: until when it holds, in seconds since the Unix epoch; None for ever.
        claims: what else is known, such as the claims of the token.

    Raises:
        ConfigurationError: for rooms, a name or a time that cannot be.
        InvalidUserName: for a user that cannot be.
    """

    user: str
    name: str | None = None
    rooms: Mapping[str, Collection[str]] = field(default_factory=dict)
    expires: float | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _grants: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = field(
        init=False, repr=False, compare=False, default=()
    )

    def __post_init__(self) -> None:
        check_user_name(self.user)
        if self.name is not None:
            check_user_name(self.name)
        _check_time(self.expires)
        if not isinstance(self.rooms, Mapping) or len(self.rooms) > MOST_PATTERNS:
            raise ConfigurationError(f"rooms are at most {MOST_PATTERNS} patterns and their actions{_LIKE}")
        grants = tuple((_pattern(room), _actions(actions)) for room, actions in self.rooms.items())
        object.__setattr__(self, "_grants", grants)

    def check_time(self) -> None:
        """Find out whether it holds now.

        Raises:
            Unauthenticated: if not.
        """
        if self.expires is not None and self.expires <= time.time():
            raise Unauthenticated("this is over: sign in again, or get a fresh token")

    def may(self, action: str, room: str) -> bool:
        """Whether `action` is allowed in `room`."""
        return any(action in actions and pattern.match(room) is not None for pattern, actions in self._grants)


_LIKE = ', such as {"team-*": ["join", "publish"]}'


def _check_time(expires: object) -> None:
    if expires is None:
        return
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not _is_finite(expires):
        raise ConfigurationError("expires is a time in seconds since the Unix epoch, or None")


def _is_finite(number: float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # a whole number that no float can be
        return False


def _pattern(room: object) -> re.Pattern[str]:
    if not isinstance(room, str) or not room:
        raise ConfigurationError(f"rooms: a pattern of room names is a str{_LIKE}")
    return re.compile(translate(room))


def _actions(actions: object) -> frozenset[str]:
    if isinstance(actions, str | bytes) or not isinstance(actions, Collection):
        raise ConfigurationError(f"rooms: a pattern has a list of actions{_LIKE}")
    if not all(isinstance(action, str) for action in actions):
        raise ConfigurationError(f"rooms: an action is a str{_LIKE}")
    return frozenset(map(str, actions))
