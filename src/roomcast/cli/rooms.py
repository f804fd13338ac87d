"""`roomcast rooms`: the rooms of a broker."""

from __future__ import annotations

import click

from roomcast.cli.broker_url import shared_url
from roomcast.serving.settings import setting
from roomcast.terminal.rooms import is_file, rooms_of, show_rooms

ROOMS_HELP = """List the rooms of a broker.

Of a broker that several servers share, these are the rooms that somebody is in, on any of them, with how many. Of
a SQLite file, they are the rooms that something is kept of: who is in them is known to the server alone that has
the file, which may run meanwhile.

\b
Examples:
  roomcast rooms
  roomcast rooms --broker redis://localhost --json | jq -r .room
"""


@click.command(help=ROOMS_HELP, short_help="List the rooms of a broker.")
@setting("--broker", metavar="URL", help="The broker that has the rooms. [default: that of the chat]")
@click.option("--json", "json_lines", is_flag=True, help="Print a line of JSON for each.")
@click.pass_context
def rooms(ctx: click.Context, *, broker: str | None, json_lines: bool) -> int:
    """List them, and return the exit code."""
    url = shared_url(ctx, broker)
    show_rooms(rooms_of(url), json_lines=json_lines)
    if is_file(url) and not json_lines:
        click.echo("who is in them, only the server knows that has the file", err=True)
    return 0
