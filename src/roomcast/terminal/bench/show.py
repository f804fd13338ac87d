"""How a benchmark is shown on the terminal: while it runs, and what came of it."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from roomcast.terminal.bench.result import PERCENTILES, ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roomcast.terminal.bench.histogram import Histogram
    from roomcast.terminal.bench.plan import Plan
    from roomcast.terminal.bench.result import Result

ROWS = 16
"""How many bars the histogram has at the most."""
BAR = 44
"""How many characters the longest bar has."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Watching(NamedTuple):
    """What a `Load` calls back.

    Attributes:
        opened: with how many connections are open.
        progressed: with how many messages were sent.
    """

    opened: Callable[[int], None]
    progressed: Callable[[int], None]


@contextmanager
def watching(plan: Plan) -> Iterator[Watching]:
    """Show on stderr how far it is, where that is a terminal, and nothing of it afterwards."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(BAR),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        opening = progress.add_task("connections", total=plan.connections)
        sending = progress.add_task("messages   ", total=plan.messages)
        yield Watching(
            lambda count: progress.update(opening, completed=count),
            lambda count: progress.update(sending, completed=count),
        )


def summary(result: Result) -> RenderableType:
    """Lay a result out: what was done, the percentiles, the histogram, and what is to be said against it."""
    latency = result.latency
    parts: list[RenderableType] = [_what(result), Padding(_table(result, latency), (1, 0))]
    if latency.count:
        parts.append(_bars(latency))
    parts += [Text(f"\n! {failure}", "red") for failure in result.failures()]
    parts += [Text(f"\n! {doubt}", "yellow") for doubt in result.doubts()]
    if not result.doubts():
        parts.append(
            Text(
                f"\nThe benchmark itself kept up: {result.cpu:.0%} of a core, 99 % of the messages sent "
                f"within {ms(result.lateness.percentile(99))} of their time.",
                "dim",
            )
        )
    return Group(*parts)


def headline(plan: Plan) -> str:
    """Say in one line what was done."""
    what = "each message to all of them, in one room" if plan.room else "each message echoed"
    return (
        f"{plan.connections:,} connections, {plan.rate:,g} messages a second for {plan.seconds:g} s, "
        f"{plan.size:,} characters{', deflated' if plan.deflate else ''}; {what}"
    )


def _what(result: Result) -> Text:
    per_second = result.latency.count / result.elapsed if result.elapsed else 0.0
    opened = result.opening.count / result.opening_seconds if result.opening_seconds else 0.0
    return (
        Text(result.url, "bold")
        .append(f"\n{headline(result.plan)}", "not bold")
        .append(f"\n{opened:,.0f} handshakes a second, {per_second:,.0f} deliveries a second", "not bold dim")
    )


def _table(result: Result, latency: Histogram) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for percent in PERCENTILES:
        table.add_column(f"p{percent:g}", justify="right", min_width=9)
    table.add_column("max", justify="right", min_width=9)
    table.add_column("of", justify="right", min_width=9)
    for name, histogram, style in (
        ("latency", latency, "bold cyan"),
        ("sent late", result.lateness, "dim"),
        ("handshake", result.opening, "dim"),
    ):
        values = [*(ms(histogram.percentile(percent)) for percent in PERCENTILES), ms(histogram.highest)]
        table.add_row(
            name, *(values if histogram.count else ["-"] * len(values)), f"{histogram.count:,}", style=style
        )
    return table


def _bars(latency: Histogram) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right", style="dim", min_width=9)
    table.add_column(no_wrap=True)
    edges = bar_edges(latency, ROWS)
    counts = [latency.between(low, high) for low, high in itertools.pairwise(edges)]
    most = max(counts)
    for low, count in zip(edges, counts, strict=False):
        share = count / latency.count
        bar = Text(_bar(count / most), "cyan").append(f" {count:,}" if count else "", "default")
        table.add_row(ms(low), bar.append(f"  {share:.1%}" if share >= 0.001 else "", "dim"))
    return table


def bar_edges(latency: Histogram, most: int) -> list[float]:
    """Divide the latencies, in nanoseconds, into at most so many ranges of the same ratio."""
    low, high = max(latency.lowest, 1_000), max(latency.highest + 1, 2_000)
    steps = max(1, min(most, round(_octaves(low, high) * 4)))
    ratio = (high / low) ** (1 / steps)
    edges = [low * ratio**step for step in range(steps + 1)]
    return [0.0 if latency.lowest < low else edges[0] * 0.99, *edges[1:-1], high * 1.01]


def _octaves(low: float, high: float) -> float:
    octaves = 0.0
    while low * 2 <= high:
        low *= 2
        octaves += 1
    return octaves + high / low - 1


def _bar(share: float) -> str:
    eighths = round(share * BAR * 8)
    if share > 0:
        eighths = max(eighths, 1)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
