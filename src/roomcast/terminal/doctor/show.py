"""How the checks are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from roomcast.terminal.doctor.check import Check, Verdict
from roomcast.terminal.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARKS = {
    Verdict.OK: ("✓", "green"),
    Verdict.WARNING: ("!", "yellow"),
    Verdict.FAILED: ("✗", "bold red"),
    Verdict.UNKNOWN: ("?", "dim"),
}


def findings(checks: Iterable[Check], connections: int) -> RenderableType:
    """Lay the checks out: all in a line each, and what is to be set with what would be right."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    advice: list[RenderableType] = []
    for check in checks:
        mark, style = _MARKS[check.verdict]
        table.add_row(Text(mark, style), check.name, Text(printable(check.found)))
        if check.wanted:
            advice.append(Padding(_advice(check, style), (1, 0, 0, 0)))
    end = Text(f"\nAs it should be for {connections:,} connections a server.", "green")
    return Group(table, *(advice or [end]))


def _advice(check: Check, style: str) -> RenderableType:
    told = Table.grid(padding=(0, 2))
    told.add_column(width=3, justify="right", style="dim")
    told.add_column(overflow="fold")
    for word, text in (("why", check.why), ("how", check.how)):
        if text:
            told.add_row(word, printable(text))
    return Group(Text(check.name, style).append(f": {printable(check.wanted)}", "default not bold"), told)
