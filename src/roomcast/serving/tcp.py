"""Listening on a host and a port: the sockets, and what can be in the way."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeAlias

from roomcast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKLOG = 2048
"""How many connections the kernel keeps waiting until the server takes them."""

NOT_OF_THIS_MACHINE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

HOSTS = "use {}host 127.0.0.1 to be reached from this machine alone, 0.0.0.0 to be reached from others too"

Address: TypeAlias = tuple[socket.AddressFamily, str, tuple[int, ...]]
"""The family, the host's address, and what follows the port in it: IPv6's flow and scope."""


@contextmanager
def listening_on_port(host: str, port: int, options: str = "--") -> Iterator[list[socket.socket]]:
    """Listen on every address that `host` has: `localhost` often has one of IPv4 and one of IPv6.

    Args:
        host: a name or an address; `0.0.0.0` is every IPv4 address of this machine, `::` every address.
        port: the port, 0 for a free one, which is then the same for every address.
        options: how the names of the options begin that the two came from, for the errors.

    Raises:
        ConfigurationError: the port is taken or not allowed, or the host is unknown or another machine's.
    """
    addresses = _addresses(host, options)
    listeners: list[socket.socket] = []
    with ExitStack() as stack:
        for address in addresses:
            try:
                listener = stack.enter_context(_listener(address, port))
            except OSError as error:
                # A name may have an address of a family that this machine has not, as localhost has ::1.
                if error.errno in NOT_OF_THIS_MACHINE and (listeners or address != addresses[-1]):
                    continue
                raise ConfigurationError(_problem(error, address[1], port, options)) from None
            port = listener.getsockname()[1]
            listeners.append(listener)
        yield listeners


def _addresses(host: str, options: str) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):  # the latter where no such name can be, as in a..b
        raise ConfigurationError(f"there is no host {host!r}: {HOSTS.format(options)}") from None
    return [(family, str(address[0]), tuple(map(int, address[2:]))) for family, *_, address in found]


def _listener(address: Address, port: int) -> socket.socket:
    family, host, rest = address
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # On Windows the option means that another program may take the port away.
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Every address is every address: of IPv4 too.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        listener.bind((host, port, *rest))
        # Two programs can bind one port as long as neither listens: only now it is ours.
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _problem(error: OSError, host: str, port: int, options: str) -> str:
    choose = f"choose another {options}port, or 0 for a free one"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: {choose}"
    if error.errno == errno.EACCES:
        return f"port {port} needs a privilege that you lack: {choose}; from 1024 up all are free to use"
    if error.errno in NOT_OF_THIS_MACHINE:
        return f"{host} is no address of this machine: {HOSTS.format(options)}"
    return f"cannot listen on {host}, port {port}: {error.strerror}"
