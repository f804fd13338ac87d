"""Who somebody is, and what they may do."""

from __future__ import annotations

import time
from typing import Any

import pytest

from roomcast.auth import EVERYTHING, Action, Identity
from roomcast.errors import ConfigurationError, InvalidUserName


@pytest.mark.parametrize(
    ("pattern", "room", "fits"),
    [
        ("*", "general", True),
        ("team-*", "team-", True),
        ("team-*", "team-1", True),
        ("team-*", "Team-1", False),
        ("team-*", "my-team-1", False),
        ("team-?", "team-12", False),
        ("team-[12]", "team-2", True),
        ("general", "general", True),
        ("general", "general2", False),
        ("a.b", "axb", False),
        ("*x*x*x*x*x*x*x*x", "x" * 200 + "y", False),
        ("café", "café", True),
    ],
)
def test_patterns_say_which_rooms_are_meant(pattern: str, room: str, fits: bool) -> None:
    assert Identity("ada", rooms={pattern: ["join"]}).may("join", room) is fits


def test_what_several_patterns_allow_adds_up() -> None:
    identity = Identity("ada", rooms={"*": ["join"], "team-*": {"publish"}, "team-1": ("moderate",)})
    assert [action for action in (*EVERYTHING, "moderate") if identity.may(action, "team-1")] == [
        "join",
        "publish",
        "moderate",
    ]
    assert not identity.may(Action.PUBLISH, "general")


def test_who_is_allowed_nothing_may_do_nothing() -> None:
    assert not any(Identity("ada").may(action, "general") for action in EVERYTHING)


@pytest.mark.parametrize("user", ["", "a\x00", 7, "x" * 256])
def test_a_user_that_is_none_is_refused(user: Any) -> None:
    with pytest.raises(InvalidUserName):
        Identity(user)
    with pytest.raises(InvalidUserName):
        Identity("ada", user)


@pytest.mark.parametrize("expires", ["soon", True, float("nan"), float("inf"), 10**400])
def test_a_time_that_is_none_is_refused(expires: Any) -> None:
    with pytest.raises(ConfigurationError, match="expires"):
        Identity("ada", expires=expires)


def test_an_identity_shows_no_claims() -> None:
    assert "secret" not in repr(Identity("ada", expires=time.time(), claims={"x": "secret"}))
