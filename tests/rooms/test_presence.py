from __future__ import annotations

import json
from typing import Any

import pytest

from roomcast import Presence


@pytest.mark.parametrize("info", [None, "Ada", {"name": "Zoë", "tags": [1, True]}, "\ud800", 2**70])
def test_presence_reads_back_as_it_was_written(info: Any) -> None:
    presence = Presence("n-1", "ada", info, 12.5)
    assert Presence.from_bytes(presence.to_bytes()) == presence


def test_presence_is_json_with_the_names_of_its_attributes() -> None:
    assert json.loads(Presence("n-1", None, {"a": 1}, 2.0).to_bytes()) == {
        "id": "n-1",
        "user": None,
        "info": {"a": 1},
        "since": 2.0,
    }


@pytest.mark.parametrize("info", [{1}, object(), b"x"])
def test_what_json_has_no_form_for_is_a_type_error(info: Any) -> None:
    with pytest.raises(TypeError):
        Presence("n-1", None, info, 2.0).to_bytes()


def test_an_info_that_contains_itself_is_a_value_error() -> None:
    info: list[Any] = []
    info.append(info)
    with pytest.raises(ValueError, match=r"[Cc]ircular"):
        Presence("n-1", None, info, 2.0).to_bytes()
