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
    with Live(screen(sample, None), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(interval)
            try:
                earlier, sample, trouble = sample, metrics.sample(), ""
            except Unreachable as error:
                trouble = str(error)
            live.update(screen(sample, earlier, trouble), refresh=True)


def screen(sample: Sample, earlier: Sample | None, trouble: str = "") -> Group:
    """Lay out what is shown live: the table, and whether it is still true."""
    end = Text(f"{trouble}; trying again", "red") if trouble else Text(f"{clock()}; Ctrl+C ends it", "dim")
    return Group(table(sample, earlier), Text(), end)


def table(sample: Sample, earlier: Sample | None) -> Table:
    """Lay a sample out, with what has changed since an earlier one."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("metric", no_wrap=True)
    shown.add_column("now", justify="right")
    shown.add_column("a second", justify="right")
    shown.add_column("p50", justify="right")
    shown.add_column("p99", justify="right")
    for key, value in sorted(sample.gauges.items()):
        shown.add_row(_name(key), _short(value), "", "", "")
    for key, value in sorted(sample.counters.items()):
        shown.add_row(_name(key), _short(value), _rate(sample.rate(key, earlier)), "", "")
    for key, spread in sorted(sample.spreads.items()):
        lately = spread.since(None if earlier is None else earlier.spreads.get(key))
        passed = sample.time - earlier.time if earlier is not None else 0.0
        shown.add_row(
            _name(key),
            _short(spread.count),
            _rate(lately.count / passed if passed else None),
            _value(lately.quantile(0.5), key),
            _value(lately.quantile(0.99), key),
        )
    return shown


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
