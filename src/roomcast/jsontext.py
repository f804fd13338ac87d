"""JSON as it goes into a text message: strict, compact, and always valid UTF-8."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


# Made once: `json.dumps` and `json.loads` make theirs anew for each call that has options.
_as_it_is = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_escaped = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_read = json.JSONDecoder(parse_constant=_refuse).decode


def dumps(value: Any) -> str:  # noqa: ANN401 - whatever JSON can carry
    """Write `value` as JSON, with no spaces and no escapes but the needed ones.

    Raises:
        TypeError: where JSON has no form for a part of it.
        ValueError: for NaN and the infinities, which JSON has not, and for a value that contains itself or is
            nested too deeply to be written.
    """
    try:
        text = _as_it_is(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # A lone surrogate is a legal JSON escape, but has no UTF-8: it can only travel as the escape it was.
        return _escaped(value)
    return text


def loads(text: str) -> Any:  # noqa: ANN401
    """Read JSON.

    Raises:
        ValueError: where `text` is not JSON (NaN and the infinities are not), or nested too deeply to be read.
    """
    try:
        return _read(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
