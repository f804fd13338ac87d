"""The pictures of the results: bars of what a server's CPU and memory cost, for light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from textwrap import shorten
from typing import TYPE_CHECKING

from benchmarks.results import TIMES
from benchmarks.servers import OURS, App, Kind
from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.results import Results
    from benchmarks.servers import Server
    from benchmarks.workload import Metric, Workload

COLUMNS = 2
WIDTH = 960
MARGIN = 28
GAP = 36
PANEL = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) // COLUMNS
NAME = 172
VALUE = 108
ROW = 21
HEAD = 96
PANEL_HEAD = 34
FOOT = 76
LINE = 140
"""How many characters fit into a line."""

STYLE = """
  text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 13px; fill: #1f2328 }
  .page { fill: #ffffff; stroke: #d0d7de }
  .title { font-size: 20px; font-weight: 600 }
  .panel { font-size: 14px; font-weight: 600 }
  .faint { fill: #59636e; font-size: 12px }
  .ours { fill: #0969da } .asgi { fill: #afb8c1 } .other { fill: #d8b365 } .floor { fill: #7d8590 }
  .name-ours { font-weight: 600 }
  .number { font-variant-numeric: tabular-nums }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .page { fill: #0d1117; stroke: #30363d }
    .faint { fill: #9198a1 }
    .ours { fill: #4493f8 } .asgi { fill: #545d68 } .other { fill: #9a7b3c } .floor { fill: #8b949e }
  }
"""

LEGEND = {
    Kind.OURS: "Roomcast",
    Kind.ASGI: "the same ASGI app on others",
    Kind.OTHER: "no ASGI",
    Kind.FLOOR: "C: the least there is to do",
}
TITLES = {False: "What a WebSocket costs", True: "What a room costs"}


@dataclass(frozen=True)
class Panel:
    """One workload's bars.

    Attributes:
        workload: which.
        metric: what the bars show.
        servers: whose bars.
    """

    workload: Workload
    metric: Metric
    servers: list[Server]

    @property
    def height(self) -> int:
        """How high it is."""
        return PANEL_HEAD + ROW * len(self.servers) + GAP


def pictures(results: Results, path: Path) -> dict[Path, str]:
    """Draw what was measured: that of rooms apart from the rest, into a file beside that of `path`.

    Returns:
        The SVGs, by where they belong.
    """
    drawn = {}
    for of_rooms, title in TITLES.items():
        workloads = [
            workload
            for workload in WORKLOADS
            if results.measured(workload) and (workload.app is not App.ECHO) == of_rooms
        ]
        if workloads:
            drawn[path.with_stem(path.stem + "-rooms" * of_rooms)] = _draw(results, workloads, title)
    return drawn


def _draw(results: Results, workloads: list[Workload], title: str) -> str:
    """Draw the first metric of each workload, as an SVG."""
    panels = [Panel(workload, workload.metrics[0], results.measured(workload)) for workload in workloads]
    rows = [panels[at : at + COLUMNS] for at in range(0, len(panels), COLUMNS)]
    height = HEAD + sum(max(panel.height for panel in row) for row in rows) + FOOT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" viewBox="0 0 {WIDTH} {height}">',
        f"<title>{title}, server by server</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>',
        _text(MARGIN, 40, title, "title"),
        *_legend(),
    ]
    top = HEAD
    for row in rows:
        for column, panel in enumerate(row):
            lines += _panel(results, panel, MARGIN + column * (PANEL + GAP), top)
        top += max(panel.height for panel in row)
    lines += [
        _text(MARGIN, height - 54, f"{results.machine}; one core for the server, one for the load."),
        _text(MARGIN, height - 36, f"{results.date}. {results.how()}"),
        _text(MARGIN, height - 18, f"Made by: {shorten(results.command, LINE, placeholder='...')}"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _legend() -> Iterator[str]:
    left = MARGIN
    for kind, said in LEGEND.items():
        yield f'<rect class="{kind.name.lower()}" x="{left}" y="57" width="12" height="12" rx="2"/>'
        yield _text(left + 18, 68, said)
        left += 44 + 7 * len(said)


def _panel(results: Results, panel: Panel, left: int, top: int) -> Iterator[str]:
    workload, metric = panel.workload, panel.metric
    direction = "more is better" if metric.more_is_better else "less is better"
    yield _text(left, top + 14, workload.title, "panel")
    yield _text(left + PANEL, top + 14, f"{metric.title}, {direction}", "faint", "end")
    values = {server.name: results.value(workload, server, metric.key) for server in panel.servers}
    largest = _scale([value for value in values.values() if value is not None], values.get(OURS.name))
    room = PANEL - NAME - VALUE
    for number, server in enumerate(panel.servers):
        line = top + PANEL_HEAD + number * ROW + 11
        kind = server.kind.name.lower()
        yield _text(left, line, server.title, f"name-{kind}")
        value = values[server.name]
        if value is None:
            yield _text(left + NAME, line, _short(results.outcome(workload, server).failure), "faint")
            continue
        width = max(1.5, min(1.0, value / largest) * room)
        yield (
            f'<rect class="{kind}" x="{left + NAME}" y="{line - 11}" width="{width:.1f}" height="14" rx="2">'
            f"<title>{escape(server.title)}: {value:,.{metric.digits}f} {escape(metric.title)}</title></rect>"
        )
        if value > largest:  # the bar is cut
            at = left + NAME + room - 14
            yield f'<path class="page" d="M{at} {line + 5}l5 -18h4l-5 18z"/>'
        ratio = None if metric.is_absolute else results.ratio(workload, server, metric.key)
        doubted = metric.is_the_loads_too and results.waited(workload, server)
        said = "> " * doubted + f"{value:,.{metric.digits}f}"
        yield _text(left + NAME + width + 6, line, said, "number")
        if ratio is not None and server is not OURS:
            yield _text(left + PANEL, line, f"{ratio:.2f} {TIMES}", "faint", "end")


def _scale(values: list[float], ours: float | None) -> float:
    """Give what the longest bar shows: not the largest value, where that would leave ours no length to see."""
    largest = max(values, default=1.0)
    return min(largest, ours * 8) if ours else largest


def _short(failure: str) -> str:
    return failure if len(failure) <= 42 else failure[:41] + "…"


def _text(x: float, y: int, said: str, kind: str = "faint", anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(said)}</text>'
