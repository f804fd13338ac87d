from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomcast import jsontext

patient = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For machines under load: it is the examples that count, not how long they take."""

ANY_TEXT = st.text(st.characters(codec=None, categories=None))
"""Lone surrogates among the characters: JSON can escape them, though UTF-8 cannot carry them."""
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(ANY_TEXT, values, max_size=4),
    max_leaves=20,
)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@patient
@given(JSON_VALUES)
def test_what_is_written_is_utf8_and_reads_back_as_it_was(value: object) -> None:
    text = jsontext.dumps(value)
    assert jsontext.loads(text.encode().decode()) == value


def test_text_is_written_compactly_and_without_needless_escapes() -> None:
    assert jsontext.dumps({"name": "Zoë 🎉", "n": [1, 2]}) == '{"name":"Zoë 🎉","n":[1,2]}'


def test_a_lone_surrogate_travels_as_the_escape_it_was() -> None:
    assert jsontext.dumps("é\ud800") == '"\\u00e9\\ud800"'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), [float("nan")], {float("nan"): 1}])
def test_what_json_has_no_number_for_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        jsontext.dumps(value)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), {"key": object()}, {(1, 2): 3}])
def test_what_json_has_no_form_for_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        jsontext.dumps(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match=r"[Cc]ircular"):
        jsontext.dumps(value)


@pytest.mark.parametrize("depth", [100_000])
def test_what_is_nested_too_deeply_is_refused_in_both_directions(depth: int) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        jsontext.dumps(nested(depth))
    with pytest.raises(ValueError, match="nested too deeply"):
        jsontext.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[NaN]", '{"a":Infinity}'])
def test_constants_of_javascript_are_not_json(text: str) -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        jsontext.loads(text)


@pytest.mark.parametrize(
    "text", ["", " ", "{", "[1,]", "{'a':1}", "nul", "1 2", "\ufeff1", '"\n"', "01", "1" * 5000]
)
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own words, which differ from case to case
        jsontext.loads(text)


@patient
@given(JSON_VALUES)
def test_what_others_write_is_read_as_they_meant_it(value: object) -> None:
    assert jsontext.loads(json.dumps(value)) == value
