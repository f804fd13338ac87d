"""`roomcast stats`: a server's metrics, live."""

from __future__ import annotations

import sys

import click

from roomcast.cli.websocket_options import bearer, tls_of
from roomcast.client import Address
from roomcast.errors import ConfigurationError
from roomcast.serving.settings import setting
from roomcast.terminal.stats import PREFIX, Metrics, show_lines, show_live, show_once

STATS_HELP = """Show a server's metrics as they change.

URL is http://HOST:PORT, where the metrics are; the path is /metrics unless URL has one. On a terminal the table is
renewed until Ctrl+C; elsewhere it is printed once.

\b
Examples:
  roomcast stats localhost:9100
  roomcast stats localhost:9100 --json --once | jq .gauges
"""


@click.command(help=STATS_HELP, short_help="Show a server's metrics as they change.")
@click.argument("url")
@setting("--token", metavar="TOKEN", help="Say who you are: Authorization: Bearer TOKEN.")
@click.option("--cafile", metavar="PATH", help="Certificates (PEM) to trust, and no others.")
@click.option("--insecure", is_flag=True, help="Trust any certificate: for tests on your own machine.")
@click.option(
    "--interval",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0.1, 3600),
    metavar="SECONDS",
    help="How long to wait between two looks.",
)
@click.option("--all", "everything", is_flag=True, help="Show what is not Roomcast's own, too.")
@click.option("--once", is_flag=True, help="Look once.")
@click.option("--json", "as_json", is_flag=True, help="Print each look as a line of JSON.")
def stats(
    url: str,
    *,
    token: str | None,
    cafile: str | None,
    insecure: bool,
    interval: float,
    everything: bool,
    once: bool,
    as_json: bool,
) -> int:
    """Show them until Ctrl+C, and return the exit code."""
    address = Address.parse(url).at("/metrics")
    headers = {} if token is None else {"Authorization": bearer(token).decode("latin-1")}
    if any(not char.isprintable() for char in token or ""):
        raise ConfigurationError("--token has characters that no header may have")
    metrics = Metrics(
        address, headers, tls_of(address, cafile=cafile, insecure=insecure), "" if everything else PREFIX
    )
    try:
        if once or not (as_json or sys.stdout.isatty()):
            show_once(metrics, as_json=as_json)
        elif as_json:
            show_lines(metrics, interval)
        else:
            show_live(metrics, interval)
    except KeyboardInterrupt:
        return 0
    return 0
