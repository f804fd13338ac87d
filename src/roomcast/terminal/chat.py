"""The chat's messages, as a line each."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from roomcast import jsontext
from roomcast.terminal.text import printable


def read(message: str) -> dict[str, Any] | None:
    """Read a message of the chat's wire format; None where it is none."""
    try:
        said = jsontext.loads(message)
    except ValueError:
        return None
    return said if isinstance(said, dict) and isinstance(said.get("type"), str) else None


def line(said: dict[str, Any]) -> Text | None:
    """Write what somebody said as `Ada: hello`; None where it is nothing that was said."""
    match said:
        case {"type": "message", "text": str(text)}:
            author = printable(str(said.get("from") or "somebody"))
            return Text(author, "bold").append(": ", "not bold dim").append(printable(text), "not bold")
    return None


def names(members: list[Any]) -> str:
    """Name the members of a welcome."""
    return ", ".join(printable(str(_name(member) or "somebody")) for member in members)


def _name(member: Any) -> Any:  # noqa: ANN401 - whatever the server sent
    return member.get("name") if isinstance(member, dict) else None
