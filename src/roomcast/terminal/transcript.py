"""How a conversation over a WebSocket is shown: to a person, in a pipe, or as lines of JSON."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from base64 import b64encode
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from roomcast.close_codes import Advice, CloseCode, advice, meaning
from roomcast.terminal import chat
from roomcast.terminal.text import as_json, clock, dump, laid_out, printable

if TYPE_CHECKING:
    from roomcast.client import Address, Client
    from roomcast.protocol.events import Close

_TO_DO = {
    Advice.DONE: "",
    Advice.STOP: "; the same attempt would end the same way",
    Advice.RESUME: "; come back after a moment",
}


class Transcript(ABC):
    """What is shown of a conversation. It raises BrokenPipeError where nobody reads it any more."""

    @abstractmethod
    def opened(self, address: Address, client: Client) -> None:
        """The WebSocket is open."""

    @abstractmethod
    def received(self, message: str | bytes) -> None:
        """A message came."""

    @abstractmethod
    def closed(self, close: Close, *, by_us: bool) -> None:
        """The connection is over."""

    @abstractmethod
    def refused(self, status: int, body: str) -> None:
        """The server answered with an HTTP status. In words that is said as an error."""


class OnTerminal(Transcript):
    """For a person: times, colours, JSON laid out, and the chat's messages as a chat shows them.

    Args:
        room: the room of the chat, None where it is no chat.
    """

    def __init__(self, room: str | None = None) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._room = room

    def opened(self, address: Address, client: Client) -> None:  # noqa: D102
        self._note(f"connected to {address}{_agreed(client)}; Ctrl+D closes", "green")

    def received(self, message: str | bytes) -> None:  # noqa: D102
        if isinstance(message, bytes):
            self._print("←", "cyan", dump(message))
        elif self._room is None or not self._show_chat(message):
            self._print("←", "cyan", laid_out(message))

    def closed(self, close: Close, *, by_us: bool) -> None:  # noqa: D102
        self._note(_ended(close, by_us=by_us), "green" if advice(close.code) is Advice.DONE else "yellow")

    def refused(self, status: int, body: str) -> None:  # noqa: D102, ARG002  # stderr has it
        return

    def _show_chat(self, message: str) -> bool:
        """Show a message of the chat's wire format; says whether it is one."""
        said = chat.read(message)
        match said:
            case None:
                return False
            case {"type": "system", "message": str(text)}:
                self._print("", "", Text(printable(text), "dim"))
            case {"type": "error", "message": str(text)}:
                self._print("!", "red", Text(printable(text)))
            case {"type": "welcome", "members": list(members)}:
                self._note(
                    f"in #{self._room} are {said.get('count', len(members))}: {chat.names(members)}", "green"
                )
            case _:
                line = chat.line(said)
                if line is None:
                    return False
                time = said.get("time")
                self._print("", "", line, time if isinstance(time, float | int) else None)
        return True

    def _print(self, mark: str, style: str, body: Text, time: float | None = None) -> None:
        line = Text(clock(time), "dim").append(" ")
        if mark:
            line.append(mark, style).append(" ")
        self._console.print(line.append_text(body))

    def _note(self, text: str, style: str) -> None:
        self._console.print(Text(printable(text), style))


class InPipe(Transcript):
    """For a program that reads lines: text messages as they are, one a line; all else on stderr.

    Args:
        raw: whether binary messages are written as they are, with nothing between them; else in hexadecimal.
    """

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw

    def opened(self, address: Address, client: Client) -> None:  # noqa: D102
        click.echo(f"connected to {address}{_agreed(client)}", err=True)

    def received(self, message: str | bytes) -> None:  # noqa: D102
        if isinstance(message, bytes) and self._raw:
            sys.stdout.buffer.write(message)
            sys.stdout.buffer.flush()
        else:
            # To a pipe the text goes as it came; a terminal gets no commands of the peer's.
            text = message.hex() if isinstance(message, bytes) else message
            click.echo(printable(text) if sys.stdout.isatty() else text)

    def closed(self, close: Close, *, by_us: bool) -> None:  # noqa: D102
        click.echo(printable(_ended(close, by_us=by_us)), err=True)

    def refused(self, status: int, body: str) -> None:  # noqa: D102, ARG002  # stderr has it
        return


class AsJson(Transcript):
    """For a program that reads JSON: one object a line, each with a `type`."""

    def opened(self, address: Address, client: Client) -> None:  # noqa: D102
        deflate = client.opened.deflate is not None
        click.echo(as_json(type="open", url=str(address), subprotocol=client.opened.subprotocol, deflate=deflate))

    def received(self, message: str | bytes) -> None:  # noqa: D102
        if isinstance(message, bytes):
            click.echo(as_json(type="binary", base64=b64encode(message).decode()))
        else:
            click.echo(as_json(type="text", text=message))

    def closed(self, close: Close, *, by_us: bool) -> None:  # noqa: D102
        click.echo(
            as_json(
                type="close",
                code=close.code,
                reason=close.reason,
                meaning=meaning(close.code),
                advice=advice(close.code).value,
                by="client" if by_us else "server",
            )
        )

    def refused(self, status: int, body: str) -> None:  # noqa: D102  # stderr has it
        click.echo(as_json(type="refused", status=status, body=body))


def _agreed(client: Client) -> str:
    said = []
    if client.opened.subprotocol is not None:
        said.append(f"subprotocol {client.opened.subprotocol}")
    if client.opened.deflate is not None:
        said.append("compressed")
    return f" ({', '.join(said)})" if said else ""


def _ended(close: Close, *, by_us: bool) -> str:
    if by_us and close.code == CloseCode.NORMAL:
        return "closed"
    if close.code == CloseCode.ABNORMAL:
        return f"lost ({close.code}): {meaning(close.code)}{_TO_DO[advice(close.code)]}"
    who = "closed by this side, since the server broke the protocol" if by_us else "closed by the server"
    reason = f", “{close.reason}”" if close.reason else ""
    return f"{who} ({close.code}{reason}): {meaning(close.code)}{_TO_DO[advice(close.code)]}"
