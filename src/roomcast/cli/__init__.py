"""The `roomcast` command: one file for each of its commands.

It exits with 0 after it did what was asked for, and that includes to stop: on Ctrl+C and on SIGTERM. It exits
with 2 where something in its arguments or its environment cannot be, after one line on stderr that says what
would be right; with 3 where the app's own startup failed, or where what was to be talked to is not there, a broker
too; and with 1 where it is there and did not do it: a server that refused, a broker that did not take, or did not
keep, what was to be published, a check of `doctor` that failed.
"""

from __future__ import annotations

import platform
from importlib import import_module
from importlib.metadata import version

import click

from roomcast.protocol import compiled
from roomcast.serving.settings import Commands

COMMANDS = ("serve", "connect", "bench", "stats", "publish", "rooms", "history", "token", "doctor")
"""The commands, in the order in which the help names them: each in a module of its name."""


class Roomcast(Commands):
    """The commands. A module is imported when its command is asked for: what one needs delays no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click calls it
        """Name the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as click calls it
        """Give the command of that name, None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"roomcast.cli.{cmd_name}"), cmd_name)
        return command


@click.group(
    cls=Roomcast,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--version", "wants_version", is_flag=True, help="Show the version and exit.")
@click.pass_context
def main(ctx: click.Context, *, wants_version: bool) -> None:
    """Real-time WebSockets for ASGI: rooms, presence, history, and a chat that runs with one command."""
    if wants_version:
        python = f"{platform.python_implementation()} {platform.python_version()}"
        kind = "compiled" if compiled() else "interpreted"
        click.echo(f"roomcast {version('roomcast')}, {kind} ({python}, uvicorn {version('uvicorn')})")
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
