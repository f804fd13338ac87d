"""The line that says where the server is, when it is there."""

from __future__ import annotations

import ipaddress
import logging
import socket
from contextlib import suppress

import click

from roomcast.serving.logs import JsonFormatter


class Announcement:
    """A line that is printed once: by the process that serves first, when it can be connected to.

    It is a callback for uvicorn, which calls it in every worker, and there now and then. It travels into the
    workers as multiprocessing carries what it starts them with, and prints nothing in those that come later.

    Args:
        what: the line's beginning: what is served.
        where: the address to connect to.
        bound: the address that was bound, "" where `where` says it.
        note: what else there is to say, with "; " at its end.
        in_json: whether it is to be a line of JSON, as the log's.
    """

    def __init__(self, what: str, where: str, bound: str = "", note: str = "", *, in_json: bool = False) -> None:
        listens = f"listens on {bound}; " if bound else ""
        shown = where if in_json else click.style(where, bold=True)
        self.line = f"{what} on {shown} ({listens}{note}Ctrl+C stops it)"
        if in_json:
            record = logging.makeLogRecord({"name": "roomcast", "levelno": logging.INFO, "levelname": "INFO"})
            record.msg = self.line
            self.line = JsonFormatter().format(record)
        # One byte, and then the end: whichever process reads the byte prints the line.
        self._permit, giver = socket.socketpair()
        with giver:
            giver.send(b"1")

    async def __call__(self) -> None:
        """Print the line, unless that was done."""
        if self._permit.fileno() != -1:
            # A server whose line nobody can read, on a full disk or a closed pipe, still serves.
            with self._permit, suppress(OSError):
                if self._permit.recv(1):
                    click.echo(self.line)

    def close(self) -> None:
        """Give up what is needed to hand it to further processes."""
        self._permit.close()


def web_address(scheme: str, host: str, port: int) -> tuple[str, str]:
    """What to type into a browser, and where that is not what was bound, that too.

    Returns:
        The URL, and `host:port` where the host stands for every address of this machine, "" otherwise.
    """
    bound = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            return f"{scheme}://localhost:{port}", bound
    return f"{scheme}://{bound}", ""
