"""An exception of the user's code, told in one line: what it is, what it says, where it was raised."""

from __future__ import annotations

import traceback
from pathlib import Path

LONGEST = 300
"""How many characters of an exception's own message are told; some hold whole documents."""


def told(error: BaseException) -> str:
    """Tell an exception in one line, such as `ValueError: no such room (chat.py:12)`.

    Where a library raised it, the line of the user's own code that led there is told first.
    """
    message = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    if len(message) > LONGEST:
        message = message[:LONGEST] + "…"
    where = _where(error)
    return type(error).__name__ + (f": {message}" if message else "") + (f" ({where})" if where else "")


def shown(path: str | Path) -> str:
    """A path as it is shortest to read: relative where it lies in the current directory."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(error.filename)}:{error.lineno}"
    places = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if not _is_machinery(frame.filename)
    ]
    if not places:
        return ""
    filename, line = places[-1]
    raised = f"{shown(filename)}:{line}"
    own = [place for place in places if _is_own(place[0])]
    if not own or own[-1] == places[-1]:
        return raised
    filename, line = own[-1]
    return f"{shown(filename)}:{line}, raised in {raised}"


def _is_machinery(filename: str) -> bool:
    """Whether the frame stands between us and the user's code: the import system and this package."""
    return (
        filename.startswith("<frozen importlib")
        or Path(filename).parts[-2:] == ("importlib", "__init__.py")
        or Path(filename).parent == Path(__file__).parent
    )


def _is_own(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(Path.cwd()) and "site-packages" not in path.parts
