"""Names: what may be the name of a room, of a user, or of a publication."""

from __future__ import annotations

import re

from roomcast.errors import InvalidKey, InvalidRoomName, InvalidUserName

MAX_NAME = 255
"""The longest name of a room or a user, and the longest key of a publication, in characters."""

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
"""Unicode's C0 and C1 controls, and DEL. Brokers' own channels have them in their names, so no room can be one."""
_TURNS = re.compile("[\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What ends lines, or changes the direction of text around it (UAX #9): a name with them could pass for another,
and could turn what stands beside it in a log or on a page. Names in Arabic or Hebrew need none of these."""
_USER = "\x01user:"
NODES = "\x01nodes"
"""The channel in which the nodes are present."""


def check_room_name(room: object) -> None:
    """Find out whether `room` can be a room's name.

    Raises:
        InvalidRoomName: if it is not a str of 1 to 255 characters that has a UTF-8 form, without control
            characters, and without those that end lines or change the direction of text.
    """
    if (problem := _problem(room)) is not None:
        raise InvalidRoomName(f"a room's name {problem}")


def check_user_name(user: object) -> None:
    """Find out whether `user` can be a user's name.

    Raises:
        InvalidUserName: if it is not a str of 1 to 255 characters that has a UTF-8 form, without control
            characters, and without those that end lines or change the direction of text.
    """
    if (problem := _problem(user)) is not None:
        raise InvalidUserName(f"a user's name {problem}")


def check_key(key: object) -> None:
    """Find out whether `key` can be that of a publication.

    Raises:
        InvalidKey: if it is not a str of at most 255 characters that has a UTF-8 form.
    """
    if not isinstance(key, str):
        raise InvalidKey(f"a publication's key is a str, not {type(key).__name__}")
    if len(key) > MAX_NAME:
        raise InvalidKey(f"a publication's key has at most {MAX_NAME} characters, and this one {len(key)}")
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise InvalidKey(f"a publication's key must have a UTF-8 form: {error}") from None


def channel_of(user: str) -> str:
    """Give the channel on which a broker carries what is meant for all connections of a user. It is no room."""
    return _USER + user


def is_internal(channel: str) -> bool:
    """Say whether a channel is no room, but one that the rooms use among themselves."""
    return channel.startswith("\x01")


def user_of(channel: str) -> str | None:
    """Give the user whose channel this is; None for a room."""
    return channel[len(_USER) :] if channel.startswith(_USER) else None


def _problem(name: object) -> str | None:
    if not isinstance(name, str):
        return f"is a str, not {type(name).__name__}"
    if not 1 <= len(name) <= MAX_NAME:
        return f"has 1 to {MAX_NAME} characters, and this one {len(name)}"
    if (control := _CONTROLS.search(name)) is not None:
        return f"has no control characters, and this one has U+{ord(control[0]):04X} at index {control.start()}"
    if (turn := _TURNS.search(name)) is not None:
        found = f"U+{ord(turn[0]):04X} at index {turn.start()}"
        return f"has no characters that end lines or change the direction of text, and this one has {found}"
    try:
        name.encode()
    except UnicodeEncodeError as error:
        return f"must have a UTF-8 form: {error}"
    return None
