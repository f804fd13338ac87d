"""The table of the results, for a terminal or a Markdown page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.servers import OURS
from benchmarks.workloads import LOAD, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.results import Results
    from benchmarks.servers import Server
    from benchmarks.workloads import Workload


def table(results: Results) -> str:
    """Write all tables, and what there is to doubt in them."""
    parts = [
        f"{results.date}: {results.machine}",
        f"Medians of {results.rounds} rounds. × is the median of the rounds' ratios to {OURS.title}.",
    ]
    parts += ["\n".join(_lines(results, workload)) for workload in WORKLOADS if results.measured(workload)]
    parts.append("\n".join(_about_the_load(results)))
    return "\n\n".join(parts)


def _lines(results: Results, workload: Workload) -> Iterator[str]:
    servers = results.measured(workload)
    width = max(len(server.title) for server in servers)
    yield f"{workload.title}".ljust(width) + "".join(f"{metric.title:>19}" for metric in workload.metrics)
    for server in servers:
        yield f"{server.title:{width}}" + _row(results, workload, server)


def _row(results: Results, workload: Workload, server: Server) -> str:
    failure = results.outcome(workload, server).failure
    if failure:
        return f"   not measured: {failure}"
    row = ""
    for metric in workload.metrics:
        value = results.value(workload, server, metric.key)
        ratio = results.ratio(workload, server, metric.key)
        row += "-".rjust(19) if value is None else f"{value:>11,.{metric.digits}f}"
        row += "" if value is None else " " * 8 if ratio is None else f"{f'{ratio:.2f} ×':>8}"
    return row


def _about_the_load(results: Results) -> Iterator[str]:
    """Say whether the load was in the way."""
    for workload in WORKLOADS:
        lightest = results.lightest(workload) if LOAD in _keys(results, workload) else None
        if lightest is not None:
            load, spent, server = lightest
            yield (
                f"{workload.title}: the load took {load:.1f} µs, and the fastest server, {server.title}, "
                f"{spent:.1f}."
            )
    for doubt, spoils in results.doubts().items():
        yield ("IN THE WAY: " if spoils else "As fast as the load: ") + doubt


def _keys(results: Results, workload: Workload) -> set[str]:
    return {
        key
        for server in results.measured(workload)
        for numbers in results.outcome(workload, server).rounds
        for key in numbers
    }
