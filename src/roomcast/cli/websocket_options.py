"""The options of the commands that open WebSockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from roomcast.chat.wire import SUBPROTOCOL
from roomcast.client import Address, tls_context
from roomcast.errors import ConfigurationError
from roomcast.serving.settings import AnyFunction, setting
from roomcast.terminal.target import Target

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable


def websocket_options(command: AnyFunction) -> AnyFunction:
    """Give a command the options that `target` reads."""
    for option in (
        click.option("--insecure", is_flag=True, help="Trust any certificate: for tests on your own machine."),
        click.option("--cafile", metavar="PATH", help="Certificates (PEM) to trust, and no others."),
        click.option(
            "--subprotocol", "subprotocols", multiple=True, metavar="NAME", help="Offer it; may be repeated."
        ),
        click.option(
            "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send it; may be repeated."
        ),
        setting("--token", metavar="TOKEN", help="Say who you are: Authorization: Bearer TOKEN."),
        click.option("--name", metavar="NAME", help="The name to be known by there."),
        click.option(
            "--room", metavar="ROOM", help="Be in this room of the chat; the path is /ws/chat unless URL has one."
        ),
    ):
        command = option(command)
    return command


def target(
    url: str,
    *,
    path: str,
    room: str | None,
    name: str | None,
    token: str | None,
    headers: Iterable[str],
    subprotocols: Iterable[str],
    cafile: str | None,
    insecure: bool,
    as_page: bool = False,
) -> Target:
    """Read the options.

    Args:
        url: the server's.
        path: the path where the URL has none, and no room is named.
        room: the room of the chat.
        name: the name in it.
        token: a bearer token.
        headers: further headers, as `Name: value`.
        subprotocols: what to offer.
        cafile: certificates to trust.
        insecure: whether to trust any.
        as_page: whether to speak as the chat's page does, which is told who is in the room.

    Raises:
        ConfigurationError: one of them cannot be.
    """
    address = Address.parse(url)
    if name is not None and room is None:
        raise ConfigurationError("--name is a name in a room of the chat: it needs --room")
    if room is not None:
        address = address.at("/ws/chat", room=room, name=name)
        if as_page:
            subprotocols = (SUBPROTOCOL, *subprotocols)
    else:
        address = address.at(path)
    lines = [_header(header) for header in headers]
    if token is not None:
        lines.append((b"Authorization", bearer(token)))
    tls = tls_of(address, cafile=cafile, insecure=insecure)
    return Target(address, tuple(lines), tuple(subprotocols), tls, room)


def tls_of(address: Address, *, cafile: str | None, insecure: bool) -> ssl.SSLContext | None:
    """Say how TLS is spoken with an address, None where it is not.

    Raises:
        ConfigurationError: there is something to be trusted, but no TLS; or nothing in the file.
    """
    if address.secure:
        return tls_context(cafile=cafile, insecure=insecure)
    if cafile is not None or insecure:
        raise ConfigurationError("--cafile and --insecure are about TLS: they need wss:// or https://")
    return None


def bearer(token: str) -> bytes:
    """Write what an Authorization header says of a token."""
    return _latin(f"Bearer {token}", "--token")


def _header(header: str) -> tuple[bytes, bytes]:
    name, colon, value = header.partition(":")
    if not colon or not name.strip():
        raise ConfigurationError(f"--header: {header!r} is no header: write 'Name: value'")
    return _latin(name.strip(), "--header"), _latin(value.strip(), "--header")


def _latin(text: str, option: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise ConfigurationError(f"{option}: headers have Latin letters, digits and signs only") from None
