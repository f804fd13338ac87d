"""`roomcast connect`: a WebSocket client."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from roomcast.cli.websocket_options import target, websocket_options
from roomcast.close_codes import Advice, CloseCode, advice
from roomcast.errors import ConfigurationError, InvalidHeader
from roomcast.terminal.conversation import converse
from roomcast.terminal.transcript import AsJson, InPipe, OnTerminal
from roomcast.terminal.typed import piped, prompting

CONNECT_HELP = """Talk to a WebSocket: what you type is sent, what comes is shown.

URL is ws://HOST:PORT/PATH, or wss:// with TLS; ws:// may be left out. On a terminal, lines are edited and
remembered, JSON is laid out, and Ctrl+D closes. In a pipe, each line of the standard input is a message, and what
comes is written a line each; with the end of the input, the WebSocket is closed.

\b
Examples:
  roomcast connect localhost:8000/ws/echo
  roomcast connect localhost:8000 --room general --name Ada
  roomcast connect wss://example.org/feed --token "$TOKEN" --json --wait inf </dev/null | jq .text
  echo hello | roomcast connect localhost:8000/ws/echo

It exits with 0 where it ended in order, with 1 where the server refused or ended it for another reason, and with 3
where there is no server.
"""


@click.command(help=CONNECT_HELP, short_help="Talk to a WebSocket.")
@click.argument("url")
@websocket_options
@click.option("--binary", is_flag=True, help="Send binary messages; in a pipe, write those that come as they are.")
@click.option("--json", "as_json", is_flag=True, help="Show what happens as lines of JSON.")
@click.option(
    "--wait",
    "linger",
    default=0.0,
    type=click.FloatRange(0.0),
    metavar="SECONDS",
    help="How long to listen on after the input has ended; inf for as long as it goes.",
)
def connect(url: str, *, binary: bool, as_json: bool, linger: float, **options: Any) -> int:  # noqa: ANN401
    """Talk until one side ends it, and return the exit code."""
    is_typed = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    whom = target(url, path="", as_page=is_typed, **options)
    if binary and whom.room is not None:
        raise ConfigurationError("--binary and --room exclude each other: the chat takes text")
    try:
        if is_typed:
            with prompting() as lines:
                close = asyncio.run(converse(whom, lines, OnTerminal(whom.room), binary=binary))
        else:
            transcript = AsJson() if as_json else InPipe(raw=binary)
            close = asyncio.run(converse(whom, piped(), transcript, binary=binary, linger=linger))
    except InvalidHeader as error:
        raise ConfigurationError(str(error)) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the input is not UTF-8 ({error.reason}): --binary sends any bytes") from None
    except KeyboardInterrupt:
        return 0
    in_order = advice(close.code) is Advice.DONE or close.code in (CloseCode.GOING_AWAY, CloseCode.NO_STATUS)
    return 0 if in_order else 1
