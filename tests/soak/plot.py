"""Plot: the memory and the file descriptors of a soak over its time, as an SVG for light and dark pages."""

from __future__ import annotations

import itertools
import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from tests.soak.verdict import growth, mib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.soak.watch import Look, Watch

WIDTH = 960
LEFT, RIGHT = 132, 28
HEAD = 84
PANEL = 190
PANEL_HEAD = 52
GAP = 34
ROW = 18
FOOT = 58
BUCKET = 2
"""Pixels of the time axis for which a line has one point, the highest."""
STEPS = (1, 2, 5, 10, 15, 30, 60)
"""Minutes between two ticks of the time axis: the first that gives few enough."""
TICKS = 12

STYLE = """
  text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 13px; fill: #1f2328 }
  .page { fill: #ffffff; stroke: #d0d7de }
  .title { font-size: 20px; font-weight: 600 }
  .panel { font-size: 14px; font-weight: 600 }
  .faint { fill: #59636e; font-size: 12px }
  .number { font-variant-numeric: tabular-nums }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .mark { stroke: #59636e; stroke-width: 1.5 }
  .busy { fill: none; stroke-width: 1; stroke-linejoin: round; opacity: 0.45 }
  .c0 { --c: #0969da } .c1 { --c: #bc4c00 } .c2 { --c: #1a7f37 }
  .busy { stroke: var(--c) } .rest { fill: var(--c) }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .page { fill: #0d1117; stroke: #30363d }
    .faint { fill: #9198a1 }
    .grid { stroke: #30363d }
    .mark { stroke: #9198a1 }
    .c0 { --c: #4493f8 } .c1 { --c: #db6d28 } .c2 { --c: #3fb950 }
  }
"""


class Quantity(NamedTuple):
    """What a panel shows.

    Attributes:
        title: what it is called.
        of: gives it, of a look.
        write: writes it.
        step: what the ticks of its axis are whole multiples of.
        unit: what stands after it.
    """

    title: str
    of: Callable[[Look], float]
    write: Callable[[float], str]
    step: float
    unit: str


QUANTITIES = (
    Quantity("Memory of their own", lambda look: look.usage.memory, mib, 5 << 20, " MiB"),
    Quantity("Open file descriptors", lambda look: look.usage.descriptors, lambda value: f"{value:g}", 5, ""),
)


def draw(watch: Watch, title: str, told: Sequence[str]) -> str:
    """Draw what was seen.

    Args:
        watch: what.
        title: what stands above.
        told: lines that stand below.
    """
    kinds = list(dict.fromkeys(mark.what for mark in watch.marks))
    last = max(look.seconds for looks in watch.looks.values() for look in looks)
    axis = Axis(last)
    marks = HEAD + len(QUANTITIES) * (PANEL_HEAD + PANEL + GAP)
    bottom = marks + ROW * len(kinds) + 10
    height = bottom + 24 + 18 * len(told) + FOOT - 36
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" viewBox="0 0 {WIDTH} {height}">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>',
        _text(28, 40, title, "title"),
        _text(28, 64, "Lines: the most in each moment. Dots: at rest, after an episode, when all clients went."),
    ]
    for number, quantity in enumerate(QUANTITIES):
        lines += _panel(watch, quantity, axis, HEAD + number * (PANEL_HEAD + PANEL + GAP))
    for number, kind in enumerate(kinds):
        middle = marks + number * ROW
        lines.append(_text(LEFT - 10, middle + 4, kind, "faint", "end"))
        moments = "".join(f"M{axis.at(m.seconds):.1f} {middle - 5}v10" for m in watch.marks if m.what == kind)
        lines.append(f'<path class="mark" d="{moments}"/>')
    lines += axis.labels(bottom + 8)
    lines += [_text(28, bottom + 40 + 18 * number, line) for number, line in enumerate(told)]
    return "\n".join([*lines, "</svg>"]) + "\n"


class Axis:
    """The time, from left to right.

    Args:
        last: how many seconds there are.
    """

    def __init__(self, last: float) -> None:
        self._last = last
        self._step = next((step for step in STEPS if last / 60 / step <= TICKS), 120)

    def at(self, seconds: float) -> float:
        """Give where a moment is."""
        return LEFT + seconds / self._last * (WIDTH - LEFT - RIGHT)

    def labels(self, y: float) -> Iterator[str]:
        """Write the minutes."""
        for minute in range(0, int(self._last / 60) + 1, self._step):
            yield _text(self.at(60 * minute), y, f"{minute} min" if minute else "0", "faint number", "middle")


def _panel(watch: Watch, quantity: Quantity, axis: Axis, top: float) -> Iterator[str]:
    base = top + PANEL_HEAD + PANEL
    highest = max(quantity.of(look) for looks in watch.looks.values() for look in looks)
    step = quantity.step * math.ceil(highest / quantity.step / 5)
    most = step * math.ceil(highest / step)

    def at(look: Look) -> tuple[float, float]:
        return axis.at(look.seconds), base - quantity.of(look) / most * PANEL

    yield _text(28, top + 14, quantity.title, "panel")
    for tick in range(round(most / step) + 1):
        y = base - tick * step / most * PANEL
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        said = quantity.write(tick * step).removesuffix(".0") + quantity.unit if tick else "0"
        yield _text(LEFT - 10, y + 4, said, "faint number", "end")
    for number, (name, looks) in enumerate(watch.looks.items()):
        left, grown = LEFT + 8 + number * 262, growth([quantity.of(look) for look in watch.rests[name]])
        said = f"{name}: {quantity.write(grown.early)} → {quantity.write(grown.late)}{quantity.unit}"
        yield f'<g class="c{number}"><title>{escape(said)}</title>'
        yield f'<circle class="rest" cx="{left - 6}" cy="{top + 33}" r="4"/>'
        yield _text(left + 6, top + 37, said, "number")
        for _, life in itertools.groupby(looks, lambda look: look.pid):
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in _highest(map(at, life)))
            yield f'<polyline class="busy" points="{points}"/>'
        for x, y in map(at, watch.rests[name]):
            yield f'<circle class="rest" cx="{x:.1f}" cy="{y:.1f}" r="1.8"/>'
        yield "</g>"


def _highest(points: Iterator[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    for _, near in itertools.groupby(points, lambda point: point[0] // BUCKET):
        yield min(near, key=lambda point: point[1])


def _text(x: float, y: float, said: str, kind: str = "faint", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(said)}</text>'
