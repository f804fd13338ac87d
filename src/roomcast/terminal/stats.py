"""The live table of a server's metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from roomcast import jsontext
from roomcast.client.http import get
from roomcast.errors import Unreachable
from roomcast.terminal.sample import Sample
from roomcast.terminal.text import clock, printable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from rich.console import ConsoleOptions, RenderResult

    from roomcast.client import Address
    from roomcast.terminal.sample import Key

PREFIX = "roomcast_"
"""With what the names of our own metrics begin."""
_HINTS = {401: "it wants a --token", 403: "it wants another --token", 404: "there are no metrics at this path"}


class Metrics:
    """A server's metrics, asked for again and again.

    Args:
        address: where they are.
        headers: what to say when asking.
        tls: how to speak TLS.
        prefix: leave out what is not named like this.
    """

    def __init__(
        self, address: Address, headers: Mapping[str, str], tls: ssl.SSLContext | None, prefix: str = PREFIX
    ) -> None:
        self._address = address
        self._headers = headers
        self._tls = tls
        self._prefix = prefix

    def sample(self) -> Sample:
        """Ask once.

        Raises:
            Unreachable: there is no server, or what it answers are no metrics.
        """
        answer = get(self._address, self._headers, self._tls)
        url = str(self._address).replace("ws", "http", 1)
        if answer.status != 200:
            hint = f": {_HINTS[answer.status]}" if answer.status in _HINTS else ""
            raise Unreachable(f"{url} answers with HTTP status {answer.status} {answer.reason}{hint}")
        try:
            sample = Sample.parse(answer.body, time.monotonic(), self._prefix)
        except ValueError:
            raise Unreachable(f"what is at {url} are no metrics of Prometheus' format") from None
        if not (sample.gauges or sample.counters or sample.spreads):
            raise Unreachable(
                f"among the metrics at {url} is none that is named {self._prefix}…: --all shows them"
            )
        return sample


def show_once(metrics: Metrics, *, as_json: bool) -> None:
    """Print the metrics as they are now."""
    sample = metrics.sample()
    if as_json:
        click.echo(jsontext.dumps(sample.as_dict()))
    else:
        Console().print(table(sample, None))


def show_lines(metrics: Metrics, interval: float) -> None:
    """Print the metrics as a line of JSON every `interval` seconds, until somebody ends it."""
    while True:
        show_once(metrics, as_json=True)
        time.sleep(interval)


def show_live(metrics: Metrics, interval: float) -> None:
    """Show the metrics, and how they change, until somebody ends it; a server that goes away may come back."""
    sample = metrics.sample()
    earlier: Sample | None = None
    with Live(Screen(sample, None), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(interval)
            try:
                earlier, sample, trouble = sample, metrics.sample(), ""
            except Unreachable as error:
                trouble = str(error)
            live.update(Screen(sample, earlier, trouble), refresh=True)


class Screen:
    """What is shown live: whether the table is still true, and as much of it as the terminal is high.

    Args:
        sample: the metrics.
        earlier: those before.
        trouble: why there are none of now; empty where there are.
    """

    def __init__(self, sample: Sample, earlier: Sample | None, trouble: str = "") -> None:
        self._sample = sample
        self._earlier = earlier
        self._status = (
            Text(f"{trouble}; trying again", "red") if trouble else Text(f"{clock()}; Ctrl+C ends it", "dim")
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay it out for a terminal of this size."""
        above = len(self._status.wrap(console, options.max_width)) + 1
        yield self._status
        yield Text()
        yield table(self._sample, self._earlier, options.size.height - above)


def table(sample: Sample, earlier: Sample | None, height: int | None = None) -> Group:
    """Lay a sample out, with what has changed since an earlier one.

    A counter that is 0 has no row.

    Args:
        sample: the metrics.
        earlier: those before.
        height: how many lines there are; where the rows are more, it says how many are not shown.
    """
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("metric", "now", "a second", "p50", "p99"):
        shown.add_column(name, justify="left" if name == "metric" else "right", no_wrap=True)
    rows = _rows(sample, earlier)
    space = len(rows) if height is None else max(0, height - 1)
    if space < len(rows):
        space = max(0, space - 1)
    for row in rows[:space]:
        shown.add_row(*row)
    left_out = len(rows) - space
    if not left_out:
        return Group(shown)
    more = f"{left_out:,} more not shown: a higher window has room for them, and --once shows all"
    return Group(shown, Text(more, "dim", no_wrap=True, overflow="ellipsis"))


def _rows(sample: Sample, earlier: Sample | None) -> list[tuple[Text | str, ...]]:
    rows: list[tuple[Text | str, ...]] = [
        (_name(key), _short(value), "", "", "") for key, value in sorted(sample.gauges.items())
    ]
    passed = sample.time - earlier.time if earlier is not None else 0.0
    for key, spread in sorted(sample.spreads.items()):
        lately = spread.since(None if earlier is None else earlier.spreads.get(key))
        rows.append(
            (
                _name(key),
                _short(spread.count),
                _rate(lately.count / passed if passed else None),
                _value(lately.quantile(0.5), key),
                _value(lately.quantile(0.99), key),
            )
        )
    rows += [
        (_name(key), _short(value), _rate(sample.rate(key, earlier)), "", "")
        for key, value in sorted(sample.counters.items())
        if value
    ]
    return rows


def _name(key: Key) -> Text:
    name = Text(printable(key.name.removeprefix(PREFIX)))
    for label, value in key.labels:
        name.append(f" {printable(label)}=", "dim").append(printable(value), "cyan")
    return name


def _rate(rate: float | None) -> Text:
    if rate is None:
        return Text("-", "dim")
    return Text(f"{rate:,.1f}", "bold green" if rate else "dim")


def _value(value: float | None, key: Key) -> Text:
    if value is None:
        return Text("-", "dim")
    if key.name.endswith("_seconds"):
        return Text(f"{value * 1e3:,.2f} ms")
    return Text(_short(value))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.3g}"
