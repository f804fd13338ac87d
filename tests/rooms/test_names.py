from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from roomcast import InvalidRoomName, InvalidUserName
from roomcast.rooms.names import channel_of, check_room_name, check_user_name, user_of

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKS = [(check_room_name, InvalidRoomName, "room"), (check_user_name, InvalidUserName, "user")]


@pytest.mark.parametrize("check", [check for check, _, _ in CHECKS])
@pytest.mark.parametrize(
    "name", ["a", "x" * 255, " ", "a/b", "é", "🎉" * 255, "\xa0", "شات", "\u05d0\u200f", "👩\u200d🚀"]
)
def test_every_str_without_controls_is_a_name(check: Callable[[Any], None], name: str) -> None:
    check(name)


@pytest.mark.parametrize(("check", "error", "whose"), CHECKS)
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "has 1 to 255 characters, and this one 0"),
        ("x" * 256, "has 1 to 255 characters, and this one 256"),
        (None, "is a str, not NoneType"),
        (b"r", "is a str, not bytes"),
        ("\ud800", "must have a UTF-8 form: "),
        ("a\x00", r"has no control characters, and this one has U\+0000 at index 1"),
        ("a\nb", r"has no control characters, and this one has U\+000A at index 1"),
        ("\x7f", r"has no control characters, and this one has U\+007F at index 0"),
        ("\x9f", r"has no control characters, and this one has U\+009F at index 0"),
        ("a\u202eb", r"has no characters that end lines or .* U\+202E at index 1"),
        ("\u202a", r"has no characters that end lines or .* U\+202A at index 0"),
        ("ab\u2066", r"has no characters that end lines or .* U\+2066 at index 2"),
        ("ab\u2069", r"has no characters that end lines or .* U\+2069 at index 2"),
        ("a\u2028b", r"has no characters that end lines or .* U\+2028 at index 1"),
        ("a\u2029b", r"has no characters that end lines or .* U\+2029 at index 1"),
    ],
)
def test_what_is_no_name_is_refused_with_the_reason(
    check: Callable[[Any], None], error: type[Exception], whose: str, name: Any, problem: str
) -> None:
    with pytest.raises(error, match=f"a {whose}'s name {problem}"):
        check(name)


def test_the_channel_of_a_user_is_no_room() -> None:
    assert user_of(channel_of("ada")) == "ada"
    assert user_of("ada") is None
    with pytest.raises(InvalidRoomName):
        check_room_name(channel_of("ada"))
