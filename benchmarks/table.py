"""The table of the results, for a terminal or a Markdown page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.results import STEADY, TIMES
from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.results import Results
    from benchmarks.servers import Server
    from benchmarks.workload import Workload


MIN_ROUNDS = 3


def table(results: Results) -> str:
    """Write all tables, and what there is to doubt in them."""
    parts = [
        f"{results.date}: {results.machine}",
        results.how(),
    ]
    parts += ["\n".join(_lines(results, workload)) for workload in WORKLOADS if results.measured(workload)]
    parts.append("\n".join((*_about_the_load(results), *_about_the_noise(results))))
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
        ratio = None if metric.is_absolute else results.ratio(workload, server, metric.key)
        number = "-" if value is None else f"{value:,.{metric.digits}f}"
        doubted = metric.is_the_loads_too and results.waited(workload, server)
        row += f"{'~' * doubted + number:>11}" + ("" if ratio is None else f"{ratio:.2f} {TIMES}").rjust(8)
    return row


def _about_the_load(results: Results) -> Iterator[str]:
    """Say whether the load was in the way."""
    for workload in WORKLOADS:
        lightest = results.lightest(workload)
        if lightest is not None:
            load, spent, server = lightest
            yield f"{workload.title}: the load took {load:.1f} µs, the lightest ({server.title}) {spent:.1f}."
    waited = [
        f"{server.title} ({workload.title})"
        for workload in WORKLOADS
        for server in results.measured(workload)
        if results.waited(workload, server)
    ]
    if waited:
        yield f"~ The load took as much as the server: it can do more than it says. {', '.join(waited)}."
    if results.is_spoiled():
        yield "The load was in the way of servers that are compared here: this measurement is no good."


def _about_the_noise(results: Results) -> Iterator[str]:
    """Say where the rounds disagree: a difference of that size says nothing."""
    if results.rounds < MIN_ROUNDS:
        yield f"{results.rounds} round(s) cannot tell a difference from noise: measure {MIN_ROUNDS} or more."
    for workload in WORKLOADS:
        spreads = {server.title: results.spread(workload, server) for server in results.measured(workload)}
        unsteady = [f"{title} {spread:.2f}" for title, spread in spreads.items() if spread > STEADY]
        if unsteady:
            yield f"{workload.title}: rounds disagree (most to least): {', '.join(unsteady)}."
