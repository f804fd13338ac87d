"""`roomcast bench`: what a server does under load."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from roomcast import jsontext
from roomcast.cli.websocket_options import target, websocket_options
from roomcast.errors import ConfigurationError, InvalidHeader
from roomcast.serving.settings import Number
from roomcast.terminal.bench.load import Load
from roomcast.terminal.bench.plan import LEAST_SIZE, Plan
from roomcast.terminal.bench.report import report as write_report
from roomcast.terminal.bench.show import summary, watching
from roomcast.terminal.files import allow_connections

if TYPE_CHECKING:
    from roomcast.terminal.bench.result import Result
    from roomcast.terminal.target import Target

BENCH_HELP = """Measure how long a server takes to answer under load.

Messages are sent on a schedule that does not wait for the server, and a latency is counted from the time when
its message was due. So what a stalled server would have had to answer meanwhile counts, too. URL echoes text (the
path is /ws/echo unless URL has one); with --room, all connections are in one room of the chat, and each message is
for all.

\b
Examples:
  roomcast bench localhost:8000
  roomcast bench localhost:8000 --room bench --rate 20
  roomcast bench wss://example.org/echo --deflate --size 1000 --report bench.html

It says when it was itself too slow to measure. Put it on another machine than the server for figures that count,
and serve with --no-limits for more than the server lets one address do.
It exits with 1 where something was lost, and with 3 where there is no server.
"""


@click.command(help=BENCH_HELP, short_help="Measure how long a server takes to answer under load.")
@click.argument("url")
@click.option(
    "--connections",
    default=50,
    show_default=True,
    metavar="NUMBER",
    type=Number("number of connections: 1 to 60000, as many as one address can have to one port", 1, 60_000),
    help="How many connections.",
)
@click.option(
    "--rate",
    default=1000.0,
    show_default=True,
    metavar="NUMBER",
    type=click.FloatRange(0, min_open=True),
    help="Messages a second, from all connections together.",
)
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    metavar="NUMBER",
    type=click.FloatRange(0, 86_400, min_open=True),
    help="For how long to send.",
)
@click.option(
    "--size",
    default=128,
    show_default=True,
    metavar="NUMBER",
    type=Number(f"size: a message has {LEAST_SIZE} to 1000000 characters", LEAST_SIZE, 1_000_000),
    help="Characters in a message.",
)
@click.option("--deflate", is_flag=True, help="Offer permessage-deflate.")
@websocket_options
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Write a page with plots.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
def bench(
    url: str,
    *,
    connections: int,
    rate: float,
    seconds: float,
    size: int,
    deflate: bool,
    report: Path | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> int:
    """Measure, and return the exit code."""
    whom = target(url, path="/ws/echo", **options)
    plan = Plan(connections, rate, size, seconds, deflate, whom.room is not None)
    allow_connections(connections)
    if report is not None:
        _try_to_write(report)
    try:
        result = _run(whom, plan)
    except InvalidHeader as error:
        raise ConfigurationError(str(error)) from None
    except KeyboardInterrupt:
        return 0
    if report is not None:
        when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
        report.write_text(write_report(result, when), encoding="utf-8")
    if as_json:
        click.echo(jsontext.dumps(result.as_dict()))
    else:
        Console(highlight=False, soft_wrap=True).print(summary(result))
        if report is not None:
            click.echo(f"\nPlots are in {click.format_filename(report)}")
    return 1 if result.failures() else 0


def _run(whom: Target, plan: Plan) -> Result:
    with watching(plan) as (opened, progressed):
        load = Load(whom, plan, opened, progressed)
        if sys.platform == "win32":
            return asyncio.run(load.run())
        import uvloop  # noqa: PLC0415  # there is none for Windows

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(load.run())


def _try_to_write(report: Path) -> None:
    """Find out before the benchmark that its report can be written.

    Raises:
        ConfigurationError: it cannot.
    """
    try:
        report.open("a").close()
    except OSError as error:
        raise ConfigurationError(f"--report: {report} cannot be written: {error.strerror}") from None
