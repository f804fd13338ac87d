"""What an operator's page may say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from roomcast import Presence
from roomcast.admin import wire

VIEW = {"type": "view", "search": "a", "offset": 50, "room": None, "member": "", "member_offset": 0}


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({"type": "token", "token": "t"}, wire.Token("t")),
        (VIEW, wire.View("a", 50)),
        (VIEW | {"offset": -5, "member_offset": 10**12}, wire.View("a", 0, None, "", wire.MAX_OFFSET)),
        ({"type": "disconnect", "user": "u", "reason": " r "}, wire.Disconnect("u", "r")),
        ({"type": "remove", "room": "r", "member": "m", "reason": ""}, wire.Remove("r", "m", "")),
        ({"type": "close", "room": "r", "reason": "é" * 60}, wire.CloseRoom("r", "é" * 60)),
        ({"type": "notice", "room": None, "text": " hi "}, wire.Notice(None, "hi")),
    ],
)
def test_what_a_page_says_is_read(said: dict[str, Any], read: object) -> None:
    assert wire.read(json.dumps(said)) == (read, 0)
    assert wire.read(json.dumps(said | {"id": 7})) == (read, 7)


@pytest.mark.parametrize(
    "frame",
    [
        b"{}",
        "nonsense",
        "[1]",
        "[" * 10_000,
        '{"type": "token"}',
        json.dumps(VIEW | {"search": "a" * 256}),
        json.dumps(VIEW | {"room": 1}),
        json.dumps({"type": "notice", "room": "r", "text": " "}),
        json.dumps({"type": "notice", "room": "r", "text": "a" * 2001}),
        json.dumps({"type": "close", "room": "r", "reason": "é" * 61}),
        json.dumps({"type": "token", "token": "a" * 20_000}),
    ],
)
def test_what_no_page_says_is_refused(frame: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its words are JSON's own, or told to the page
        wire.read(frame)


def test_members_are_found_by_name_user_and_id_and_what_is_told_of_them_is_bounded() -> None:
    members = [
        Presence("n-1", "ada", {"name": "Ada"}, 1.0),
        Presence("n-2", None, None, 2.0),
        Presence("n-3", "BOB", "x" * 1000, 3.0),
        Presence("n-4", "eve", ["any", {"thing": 1}], 4.0),
    ]

    def found(search: str) -> list[str]:
        return [member["id"] for member in wire.room_state(wire.View(room="r", member=search), 4, members)["page"]]

    assert found("") == ["n-1", "n-2", "n-3", "n-4"]
    assert (found("ADA"), found("bob"), found("n-2"), found("thing")) == (["n-1"], ["n-3"], ["n-2"], ["n-4"])
    assert all(len(told["info"]) <= wire.MAX_INFO for told in wire.room_state(wire.View(), 4, members)["page"])
    assert wire.room_state(wire.View(room="r"), 5000, None)["matching"] is None


def test_a_member_without_a_name_is_shown_without_one() -> None:
    members = [Presence("n-1", None, {"name": None}, 1.0), Presence("n-2", None, None, 2.0)]
    page = wire.room_state(wire.View(room="r"), 2, members)["page"]
    assert [told["info"] for told in page] == ["", ""]
