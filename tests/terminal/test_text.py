from __future__ import annotations

import pytest

from roomcast.terminal.text import as_json, dump, laid_out, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 🎉\tand\nlines", "plain é 🎉\tand\nlines"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb", "a\\rb"),
        ("abc\u202egnp", "abc\\u202egnp"),
    ],
)
def test_what_would_move_the_cursor_or_turn_the_text_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_json_is_laid_out_and_anything_else_is_as_it_is() -> None:
    assert laid_out('{"a":1}').plain == '{"a": 1}'
    assert laid_out(f'{{"a":"{"x" * 60}","b":[1]}}').plain.splitlines()[:2] == ["{", f'  "a": "{"x" * 60}",']
    assert laid_out("12").plain == "12"
    assert laid_out("{no json").plain == "{no json"
    assert laid_out('{"a":"\\u001b[2J\u009b"}').plain == '{"a": "\\u001b[2J\\x9b"}'


def test_a_dump_shows_the_length_and_the_beginning() -> None:
    assert dump(b"\x00\xff").plain == "2 bytes  00 ff"
    assert dump(bytes(1000)).plain == "1,000 bytes  " + "00 " * 64 + "…"


def test_json_lines_have_no_field_that_is_not_known() -> None:
    assert as_json(type="x", a=None, b="é") == '{"type":"x","b":"é"}'
