"""`roomcast doctor`: what on this machine is not as a server needs it."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from roomcast import jsontext
from roomcast.cli.broker_url import checked_url
from roomcast.serving.settings import Number, setting
from roomcast.terminal.doctor.broker import broker as check_broker
from roomcast.terminal.doctor.check import failed
from roomcast.terminal.doctor.kernel import kernel
from roomcast.terminal.doctor.show import findings
from roomcast.terminal.doctor.software import software

DOCTOR_HELP = """Look at this machine: whether it is set up for many connections, and what to set where it is not.

Run it as the user, and in the unit or container, that the server runs as: limits belong to those. It changes
nothing. It exits with 1 where something cannot work, and with 0 where there is nothing or only warnings.

\b
Examples:
  roomcast doctor
  roomcast doctor --connections 50000 --broker redis://localhost --json
"""


@click.command(help=DOCTOR_HELP, short_help="Look at what on this machine is not as a server needs it.")
@click.option(
    "--connections",
    default=10_000,
    show_default=True,
    metavar="NUMBER",
    type=Number("number of connections: it is 1 to 10000000", 1, 10_000_000),
    help="How many connections one server is to have.",
)
@setting("--broker", metavar="URL", help="A broker to reach.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each check.")
@click.pass_context
def doctor(ctx: click.Context, *, connections: int, broker: str | None, as_json: bool) -> int:
    """Look at everything, and return the exit code."""
    if broker is not None:
        checked_url(ctx, broker)
    checks = [*software(), *kernel(connections, Path("/proc"))]
    if broker is not None:
        checks.append(check_broker(broker))
    if as_json:
        for check in checks:
            click.echo(jsontext.dumps(check.as_dict()))
    else:
        Console(highlight=False).print(findings(checks, connections))
    return 1 if failed(checks) else 0
