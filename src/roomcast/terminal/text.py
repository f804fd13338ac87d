"""Text that others wrote, as a terminal may show it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from rich.highlighter import JSONHighlighter
from rich.text import Text

from roomcast import jsontext

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_WIDE = 60
"""Up to how many characters JSON stays on one line."""


def printable(text: str) -> str:
    r"""Write control characters as escapes: a peer's text must not move the cursor, or say what it does not.

    Line ends and tabs stay. `\x1b` is what a terminal's commands begin with; others turn the direction of text.
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def laid_out(message: str) -> Text:
    """Lay a text message out: JSON with indentation and colours, anything else as it is."""
    try:
        value = jsontext.loads(message)
    except ValueError:
        return Text(printable(message))
    if not isinstance(value, dict | list):
        return Text(printable(message))
    line = json.dumps(value, ensure_ascii=False)
    text = Text(printable(line if len(line) <= _WIDE else json.dumps(value, ensure_ascii=False, indent=2)))
    JSONHighlighter().highlight(text)
    return text


def dump(message: bytes, most: int = 64) -> Text:
    """Show the beginning of a binary message in hexadecimal, with its length."""
    shown = message[:most].hex(" ") + (" …" if len(message) > most else "")
    return Text(f"{len(message):,} bytes  ").append(shown, "magenta")


def clock(seconds: float | None = None) -> str:
    """Write a time of the day; that of now, unless it is given in seconds since the Unix epoch."""
    local = datetime.now().astimezone() if seconds is None else datetime.fromtimestamp(seconds).astimezone()
    return local.strftime("%H:%M:%S")


def as_json(**fields: Any) -> str:  # noqa: ANN401 - whatever JSON can carry
    """Write one line of JSON, without the fields that are None."""
    return jsontext.dumps({name: value for name, value in fields.items() if value is not None})
