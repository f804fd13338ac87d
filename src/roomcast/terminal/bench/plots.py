"""Plots of a benchmark as SVG, for a page that is light or dark."""

from __future__ import annotations

import itertools
import math
from html import escape
from typing import TYPE_CHECKING

from roomcast.terminal.bench.result import ms
from roomcast.terminal.bench.show import bar_edges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from roomcast.terminal.bench.result import Result

WIDTH, HEIGHT = 880, 260
LEFT, RIGHT, TOP, BOTTOM = 78, 16, 28, 38
BARS = 48


def histogram(result: Result) -> str:
    """Draw how often which latency came: the ranges are of the same ratio, so the axis is logarithmic."""
    latency = result.latency
    if not latency.count:
        return _empty()
    edges = bar_edges(latency, BARS)
    counts = [latency.between(low, high) for low, high in itertools.pairwise(edges)]
    most = max(counts)
    width = (WIDTH - LEFT - RIGHT) / len(counts)
    lines = list(_rows(most, lambda value: f"{value:,.0f}"))
    for index, count in enumerate(counts):
        height = count / most * _inner_height()
        if count:
            lines.append(
                f'<rect class="bar" x="{LEFT + index * width + 0.5:.1f}" '
                f'y="{HEIGHT - BOTTOM - max(height, 1):.1f}" '
                f'width="{max(width - 1, 1):.1f}" height="{max(height, 1):.1f}"><title>{ms(edges[index])} to '
                f"{ms(edges[index + 1])}: {count:,}</title></rect>"
            )
    lines += [
        _text(LEFT + index * width, HEIGHT - 16, ms(edges[index]), "start")
        for index in range(0, len(counts), max(1, len(counts) // 8))
    ]
    return _svg("How often which latency came", lines)


def over_time(result: Result) -> str:
    """Draw the latencies of what was due in each part of the run."""
    last = max(len(result.windows) - 1, 1) * result.window
    named = {
        "p50": [window.percentile(50) for window in result.windows],
        "p99": [window.percentile(99) for window in result.windows],
        "max": [window.highest for window in result.windows],
    }
    return _lines(
        "Latency over time",
        {
            name: [(index * result.window, value) for index, value in enumerate(values)]
            for name, values in named.items()
        },
        lambda seconds: f"{seconds:g} s",
        last,
        ticks=range(0, math.ceil(last) + 1, math.ceil(last / 8)),
    )


def by_percentile(result: Result) -> str:
    """Draw which latency how many percent do not exceed: each nine of the percentage takes as much of the axis."""
    latency = result.latency
    most = max(1.0, math.log10(max(latency.count, 10)))
    points = []
    for step in range(101):
        nines = most * step / 100
        points.append((nines, float(latency.percentile(100 * (1 - 10**-nines)))))
    return _lines(
        "Latency by percentile",
        {"latency": points},
        lambda nines: f"{100 * (1 - 10**-nines):.{max(0, math.ceil(nines) - 2)}f} %",
        most,
        ticks=range(int(most) + 1),
    )


def _lines(
    title: str,
    series: dict[str, Sequence[tuple[float, float]]],
    label: Callable[[float], str],
    widest: float,
    ticks: Iterable[float],
) -> str:
    highest = max((value for points in series.values() for _, value in points), default=0.0)
    if not highest:
        return _empty()
    lines = list(_rows(highest, ms))

    def across(x: float) -> float:
        return LEFT + x / widest * (WIDTH - LEFT - RIGHT)

    lines += [
        _text(across(tick), HEIGHT - 16, label(tick), "end" if across(tick) > WIDTH - 60 else "start")
        for tick in ticks
    ]
    for number, (name, points) in enumerate(series.items()):
        path = " ".join(
            f"{across(x):.1f},{HEIGHT - BOTTOM - value / highest * _inner_height():.1f}" for x, value in points
        )
        lines.append(f'<polyline class="line l{number}" points="{path}"><title>{escape(name)}</title></polyline>')
        if len(series) > 1:
            lines.append(f'<text class="l{number}" x="{LEFT + 52 * number}" y="14">{escape(name)}</text>')
    return _svg(title, lines)


def _rows(highest: float, label: Callable[[float], str]) -> Iterable[str]:
    for part in range(5):
        y = HEIGHT - BOTTOM - part / 4 * _inner_height()
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield _text(LEFT - 8, y + 4, label(highest * part / 4) if part else "0", "end")


def _inner_height() -> int:
    return HEIGHT - TOP - BOTTOM


def _text(x: float, y: float, said: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'


def _svg(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">\n{body}\n</svg>'


def _empty() -> str:
    return "<p>Nothing came back.</p>"
