"""`roomcast publish`: something in a room, from a script."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack, nullcontext

import click

from roomcast.cli.broker_url import shared_url
from roomcast.errors import ConfigurationError, InvalidKey, InvalidRoomName
from roomcast.rooms import Rooms
from roomcast.serving.brokers import make_chat_folder
from roomcast.serving.settings import setting
from roomcast.terminal.rooms import is_file, reaching
from roomcast.terminal.text import as_json

MAX_PUBLISHED = 16 << 20
"""How many bytes `roomcast publish` takes."""

PUBLISH_HELP = """Publish TEXT in ROOM, and print its position.

With - as TEXT, what comes on the standard input is published, without its last line end.

A SQLite file belongs to the process that has its rooms open. While a server has it, nothing else can publish
there; while none has, what is published is in the history.

\b
Examples:
  roomcast publish general "back at 9" --broker sqlite:////var/lib/chat.db
  make test 2>&1 | roomcast publish builds - --key "$BUILD"
"""


@click.command(help=PUBLISH_HELP, short_help="Publish something in a room, from a script.")
@click.argument("room")
@click.argument("text")
@setting("--broker", metavar="URL", help="The broker that has the room. [default: that of the chat]")
@click.option("--key", metavar="KEY", help="Publish nothing if this key was published in the room lately.")
@click.option("--binary", is_flag=True, help="Publish a binary message.")
@click.option("--json", "json_line", is_flag=True, help="Print the position as JSON.")
@click.pass_context
def publish(
    ctx: click.Context, *, room: str, text: str, broker: str | None, key: str | None, binary: bool, json_line: bool
) -> int:
    """Publish once, and return the exit code."""
    url = shared_url(ctx, broker)
    if broker is None:
        make_chat_folder()
    data = sys.stdin.buffer.read(MAX_PUBLISHED + 1).removesuffix(b"\n") if text == "-" else os.fsencode(text)
    if len(data) > MAX_PUBLISHED:
        raise ConfigurationError(f"there are more than {MAX_PUBLISHED >> 20} MiB to publish: publish less at once")
    os.environ["ROOMCAST_WORKERS"] = "1"  # whatever a server here is told

    async def publish_once() -> None:
        async with AsyncExitStack() as stack:
            # A file that cannot be opened now is there all the same, and did not take it.
            with nullcontext() if is_file(url) else reaching():
                rooms = await stack.enter_async_context(Rooms(url))
            position = await rooms.publish(room, data if binary else data.decode(), key=key)
            click.echo(as_json(room=room, position=str(position)) if json_line else position)

    try:
        asyncio.run(publish_once())
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the text is not UTF-8 ({error.reason}): --binary publishes any bytes") from None
    except (InvalidRoomName, InvalidKey) as error:
        raise ConfigurationError(str(error)) from None
    return 0
