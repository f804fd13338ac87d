"""`roomcast history`: what was said in a room."""

from __future__ import annotations

import click

from roomcast.cli.broker_url import shared_url
from roomcast.errors import ConfigurationError, InvalidRoomName
from roomcast.rooms import Position
from roomcast.rooms.names import check_room_name
from roomcast.serving.settings import Number, setting
from roomcast.terminal.rooms import history_of, show_history
from roomcast.terminal.text import printable

HISTORY_HELP = """Show what was published in ROOM, the newest last, as far as it is kept.

A SQLite file can be read while a server has it.

\b
Examples:
  roomcast history general
  roomcast history general --since 12.5eb1a6fd --json --broker redis://localhost
"""


@click.command(help=HISTORY_HELP, short_help="Show what was published in a room.")
@click.argument("room")
@setting("--broker", metavar="URL", help="The broker that has the room. [default: that of the chat]")
@click.option(
    "--limit",
    default=50,
    show_default=True,
    metavar="NUMBER",
    type=Number("limit: it is a whole number from 1 up", 1),
    help="How many publications at the most.",
)
@click.option("--since", metavar="POSITION", help="Begin behind this position, as publish and --json print it.")
@click.option("--json", "json_lines", is_flag=True, help="Print a line of JSON for each.")
@click.pass_context
def history(
    ctx: click.Context, *, room: str, broker: str | None, limit: int, since: str | None, json_lines: bool
) -> int:
    """Show it, and return the exit code."""
    url = shared_url(ctx, broker)
    try:
        check_room_name(room)
        after = None if since is None else Position.parse(since)
    except InvalidRoomName as error:
        raise ConfigurationError(str(error)) from None
    except ValueError as error:
        raise ConfigurationError(f"--since: {error}") from None
    found = history_of(url, room, since=after, limit=limit)
    show_history(found, json_lines=json_lines)
    if not found and not json_lines:
        click.echo(f"nothing is kept of {printable(room)}{' behind that position' if after else ''}", err=True)
    return 0
