"""Address: where a server is, read from a URL as people write it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from roomcast.errors import ConfigurationError

_SECURE = {"ws": False, "http": False, "wss": True, "https": True}
_PORTS = {False: 80, True: 443}
# What may stand in a path and a query (RFC 3986, sections 3.3 and 3.4), and "%", for what is escaped already.
_SAFE = "/:@!$&'()*+,;=~-._?%"


class Address(NamedTuple):
    """Where a server is.

    Attributes:
        secure: whether TLS is spoken there.
        host: a name or an address.
        port: the port.
        path: the path, in ASCII, with its "/"; "" where the URL had none.
        query: the query, in ASCII, without its "?".
    """

    secure: bool
    host: str
    port: int
    path: str
    query: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read `ws://HOST:PORT/PATH`. http:// is the same, wss:// and https:// have TLS; ws:// may be left out.

        Raises:
            ConfigurationError: it is no such URL.
        """
        try:
            parts = urlsplit(url if "://" in url else f"ws://{url}")
            port = parts.port
            host = (parts.hostname or "").encode("idna").decode()
        except ValueError as error:
            raise ConfigurationError(f"{url!r} is no URL: {error}") from None
        if parts.scheme not in _SECURE:
            raise ConfigurationError(f"{parts.scheme}:// is no scheme of a server here: use ws:// or wss://")
        if not host:
            raise ConfigurationError(f"{url!r} names no host: write ws://HOST:PORT/PATH")
        if parts.username is not None or parts.password is not None:
            raise ConfigurationError(
                f"a user in the URL of {host} is not sent: say who you are with a token or a header"
            )
        secure = _SECURE[parts.scheme]
        path, query = quote(parts.path, safe=_SAFE), quote(parts.query, safe=_SAFE)
        return cls(secure, host, port or _PORTS[secure], path, query)

    def at(self, path: str, **query: str | None) -> Address:
        """Give the address with this path where it has none of its own, and with more in its query.

        Args:
            path: the path, with its "/".
            query: names and values; those of None are left out.
        """
        more = urlencode({name: value for name, value in query.items() if value is not None})
        return self._replace(
            path=path if self.path in ("", "/") else self.path, query="&".join(filter(None, (self.query, more)))
        )

    @property
    def authority(self) -> str:
        """The host, and the port where it is not the scheme's: what a Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.secure] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """The path and the query: what a request asks for."""
        return (self.path or "/") + (f"?{self.query}" if self.query else "")

    def __str__(self) -> str:
        """Write it as a URL of a WebSocket."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.target}"
