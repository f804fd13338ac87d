"""Origins: from which pages a browser may come (RFC 6454; RFC 6455, section 10.2).

A browser sends a site's cookies along with every WebSocket to it, whoever's page opens that, and tells whose it
was in the Origin header, which no page can change. So a server that looks at cookies, or is reached only from
within a network, has to look at the origin too, or any page that one of its users visits can speak in that user's
name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from roomcast.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.types import Scope

_ORIGIN = re.compile(
    r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]\x00-\x1f\x7f*]+)(?::([0-9]{1,5}))?", re.ASCII
)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]\x00-\x1f\x7f]+)(?::([0-9]{1,5}))?", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
ANY = "*"
"""Lets pages of every origin in."""


class Origin(NamedTuple):
    """Where a page is from: scheme, host and port, all that the browser's same-origin policy knows of it."""

    scheme: str
    host: str
    port: int | None


class Origins:
    """Which origins may connect: the server's own, others that are named, and who names none.

    ```python
    origins = Origins("https://app.example.org", "https://*.example.com")
    if origins.problem(scope) is not None:
        ...  # refuse it
    ```

    Who sends no Origin header is let in: it is no browser, so it has no user's cookies but those that it was
    given. Behind a proxy, the server's own origin is the one of its Host header, or of X-Forwarded-Host: no page
    can set either, so both can be believed here, whoever sent them.

    Args:
        allowed: origins beside the server's own: exact ones, as in `https://app.example.org:8443`, all below a
            domain, as in `https://*.example.org` (not `https://example.org` itself), or `*` for every origin.

    Raises:
        ConfigurationError: for what is no origin; the message says what would be one.
    """

    __slots__ = ("_any", "_domains", "_exact")

    def __init__(self, *allowed: str) -> None:
        self._any = ANY in allowed
        self._exact: set[Origin] = set()
        self._domains: set[Origin] = set()
        for text in allowed:
            if text == ANY:
                continue
            lowered = text.lower()
            is_pattern = "://*." in lowered
            origin = parse_origin(lowered.replace("://*.", "://", 1))
            if origin is None:
                raise ConfigurationError(
                    f"{text!r} is no origin: an origin is a scheme and a host, and nothing behind them, as in "
                    "https://app.example.org, https://app.example.org:8443 or https://*.example.org; "
                    "* is every origin"
                )
            (self._domains if is_pattern else self._exact).add(origin)

    def problem(self, scope: Scope) -> str | None:
        """Say why a connection may not be opened from where it is; None where it may.

        Args:
            scope: the ASGI connection scope.
        """
        if self._any:
            return None
        origins, hosts = [], []
        for name, value in scope["headers"]:
            if name == b"origin":
                origins.append(value.decode("latin-1").lower())
            elif name in {b"host", b"x-forwarded-host"}:
                # Of several proxies, each with its name: the first is the one that the browser knows.
                hosts.append(value.decode("latin-1").lower().partition(",")[0].strip())
        if not origins:
            return None
        origin = parse_origin(origins[0]) if len(origins) == 1 else None
        if origin is None:
            return "pages without an origin of their own may not connect"
        is_secure = scope.get("scheme") in {"wss", "https"}
        if origin in self._exact or self._is_below(origin) or _is_same(origin, hosts, is_secure=is_secure):
            return None
        return "pages of this origin may not connect"

    def _is_below(self, origin: Origin) -> bool:
        if not self._domains:
            return False
        labels = origin.host.split(".")
        return any(
            origin._replace(host=".".join(labels[start:])) in self._domains for start in range(1, len(labels))
        )


def parse_origin(text: str) -> Origin | None:
    """Read an origin as browsers write it (RFC 6454, section 6.2), in lower case; None where it is none.

    "null", which a sandboxed frame or a local file has, is none.
    """
    found = _ORIGIN.fullmatch(text)
    if found is None:
        return None
    scheme, host, port = found.groups()
    return Origin(scheme, host, int(port) if port else _DEFAULT_PORTS.get(scheme))


def _is_same(origin: Origin, hosts: list[str], *, is_secure: bool) -> bool:
    """Whether an origin is that of the server itself, by the names that it was asked under."""
    if origin.scheme not in _DEFAULT_PORTS:
        return False
    # A page that came over https may be the server's own although that sees no TLS: a proxy has it. A page that
    # came without may be anybody's on the way, and is not the one that the server gave over TLS.
    if is_secure and origin.scheme == "http":
        return False
    for text in hosts:
        found = _HOST.fullmatch(text)
        if found is None:
            continue
        host, port = found.groups()
        if host == origin.host and (int(port) if port else _DEFAULT_PORTS[origin.scheme]) == origin.port:
            return True
    return False
