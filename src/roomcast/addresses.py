"""Addresses: what counts as one of those that clients come from."""

from __future__ import annotations

import ipaddress
import re

_PLAIN = re.compile(r"[\w.:%\[\]-]*", re.ASCII)


def address_of(client: object) -> str | None:
    """Give what counts as one address, of a scope's `client`; None where there is none, as on Unix sockets."""
    if not isinstance(client, (tuple, list)) or not client or not isinstance(client[0], str) or not client[0]:
        return None
    host: str = client[0][:64]
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"


def in_a_log(client: str) -> str:
    """Write an address for a log: as it is, or in quotes and escaped where it cannot be one.

    A proxy may have let through what a client wrote into X-Forwarded-For.
    """
    return client if _PLAIN.fullmatch(client) else ascii(client)
