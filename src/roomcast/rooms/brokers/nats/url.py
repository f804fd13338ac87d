"""What a `nats:` URL says: which servers, as whom, and under which name the rooms are kept there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from roomcast.errors import ConfigurationError, UnknownBroker

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

SCHEMES = PLAIN, SECURE = "nats", "nats+tls"
FORMS = "nats://[USER:PASSWORD@ or TOKEN@]HOST[:PORT][,HOST[:PORT]], or nats+tls:// with the same for TLS"
PORT = 4222
SECONDS = {"timeout": (0.1, 60.0), "presence_ttl": (0.5, 3600.0), "key_ttl": (1.0, 86400.0)}
"""The settings that are seconds, and between which bounds."""
FILES = ("credentials", "tls_ca", "tls_cert", "tls_key")
"""The settings that name a file."""
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a broker's NATS is.

    Attributes:
        servers: hosts and ports; any of them will do.
        secure: whether TLS is spoken.
        user: as whom to come in; "" for nobody in particular.
        password: the password of that user. It is never shown.
        token: what to know instead of a user and a password. It is never shown.
        credentials: the file that has a user's JWT and seed (`.creds`).
        prefix: what the streams and subjects begin with, so that several apps can share a server.
        replicas: on how many servers of a cluster the streams are kept, 1, 3 or 5.
        timeout: for how many seconds an answer is waited for before the broker counts as unreachable.
        presence_ttl: after how many seconds the presence of a node that died is forgotten; the longest that any
            node has said since the streams were made.
        key_ttl: for how many seconds the key of a publication is known again.
        tls_ca: whose certificates to believe; those that the system believes if None.
        tls_cert: this node's own certificate.
        tls_key: the key that belongs to it.
    """

    servers: tuple[tuple[str, int], ...] = (("localhost", PORT),)
    secure: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    credentials: Path | None = None
    prefix: str = "roomcast"
    replicas: int = 1
    timeout: float = 5.0
    presence_ttl: float = 30.0
    key_ttl: float = 600.0
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def __str__(self) -> str:
        """Say where it is, as an error does: without what is secret."""
        return "NATS at " + ", ".join(f"{host}:{port}" for host, port in self.servers)

    @classmethod
    def parse(cls, url: str) -> Location:
        """Read `nats://…` or `nats+tls://…`, with settings in its query.

        Raises:
            UnknownBroker: if it names no server.
            ConfigurationError: for a setting that there is not, or that cannot be.
        """
        # What is wrong is not repeated: passwords stand in URLs.
        scheme, _, rest = url.partition("://")
        rest, _, query = rest.partition("?")
        login, at, where = rest.rpartition("@")
        user, colon, password = login.partition(":")
        if at and not login:
            raise UnknownBroker(f"{scheme}:// has nothing before the @: write {FORMS}")
        location = cls(
            servers=tuple(_server(scheme, server) for server in where.removesuffix("/").split(",")),
            secure=scheme == SECURE,
            user=unquote(user) if colon else "",
            password=unquote(password),
            token="" if colon else unquote(login),
            **_settings(scheme, query),  # type: ignore[arg-type]
        )
        if not location.secure and (location.tls_ca or location.tls_cert or location.tls_key):
            raise ConfigurationError(f"{scheme}://: tls_ca, tls_cert and tls_key are for {SECURE}://")
        if (location.tls_cert is None) != (location.tls_key is None):
            raise ConfigurationError(f"{scheme}://: tls_cert and tls_key belong together")
        return location


def _server(scheme: str, server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":") if not server.endswith("]") else (server, "", "")
    if not colon:
        host, port = server, str(PORT)
    if not host or "/" in host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UnknownBroker(f"{scheme}:// names no server: write {FORMS}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _settings(scheme: str, query: str) -> dict[str, object]:
    readers: dict[str, Callable[[str, str], object]] = {"prefix": _prefix, "replicas": _replicas}
    readers |= dict.fromkeys(SECONDS, _seconds) | dict.fromkeys(FILES, _file)
    settings: dict[str, object] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in readers:
            raise ConfigurationError(f"{scheme}:// has no setting {name!r}: there are {', '.join(readers)}")
        try:
            settings[name] = readers[name](name, value)
        except ValueError as error:
            raise ConfigurationError(f"{scheme}://: {name} is {error}, not {value!r}") from None
    return settings


def _prefix(_name: str, value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError("1 to 64 letters, digits, - and _")
    return value


def _replicas(_name: str, value: str) -> int:
    if value not in ("1", "3", "5"):
        raise ValueError("1, 3 or 5")
    return int(value)


def _seconds(name: str, value: str) -> float:
    least, most = SECONDS[name]
    expected = f"a number of seconds from {least:g} to {most:g}"
    try:
        seconds = float(value)
    except ValueError:
        raise ValueError(expected) from None
    if not least <= seconds <= most:
        raise ValueError(expected)
    return seconds


def _file(_name: str, value: str) -> Path:
    path = Path(value)
    if not path.is_file():
        raise ValueError("a file that is there")
    return path
