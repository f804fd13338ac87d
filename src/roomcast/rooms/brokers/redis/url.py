"""What a Redis URL says: which servers, as whom, and how long what may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote

from roomcast.errors import ConfigurationError, UnknownBroker

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind: TypeAlias = Literal["server", "cluster", "sentinel"]
Address: TypeAlias = tuple[str, int]

FORMS = {
    "redis": "redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]",
    "rediss": "rediss://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]",
    "unix": "unix://[[USER]:PASSWORD@]/PATH/TO/SOCKET[?db=DATABASE]",
    "redis+cluster": "redis+cluster://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]",
    "rediss+cluster": "rediss+cluster://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]",
    "redis+sentinel": "redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]/NAME[/DATABASE]",
    "rediss+sentinel": "rediss+sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]/NAME[/DATABASE]",
}
"""How to write the URL of each scheme."""
REDIS_PORT = 6379
SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True)
class Settings:
    """What may stand in the query of any Redis URL.

    Attributes:
        timeout: for how many seconds an answer is waited for before the broker counts as unreachable.
        presence_ttl: how many seconds the presence of a node that has died outlives it at the most.
        key_ttl: for how many seconds the key of a publication is known again.
        prefix: what all keys and channels begin with, so that several apps can share a Redis.
    """

    timeout: float = 5.0
    presence_ttl: float = 30.0
    key_ttl: float = 3600.0
    prefix: str = "roomcast"


@dataclass(frozen=True, slots=True)
class Tls:
    """What a `rediss` URL may say of TLS: files in PEM format, and whether the server's certificate is checked."""

    authority: str | None = None
    certificate: str | None = None
    key: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Location:
    """Where a broker's Redis is.

    Attributes:
        kind: one server, a cluster, or a master that sentinels know.
        addresses: hosts and ports: of the server, of some servers of the cluster, or of the sentinels.
        path: the Unix socket, where it is on one.
        name: what the sentinels call the master.
        database: the number of the database.
        username: as whom to log in; "" for the default user.
        password: the password, "" for none. It is never shown.
        tls: how to speak TLS, None where none is spoken.
        settings: how long what may take.
    """

    kind: Kind = "server"
    addresses: tuple[Address, ...] = (("localhost", REDIS_PORT),)
    path: str | None = None
    name: str = ""
    database: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Tls | None = None
    settings: Settings = Settings()

    def __str__(self) -> str:
        """Say where it is, as an error does: without what is secret."""
        if self.path is not None:
            return f"Redis at {self.path}"
        where = ", ".join(f"{host}:{port}" for host, port in self.addresses)
        if self.kind == "sentinel":
            return f"the Redis master {self.name!r} of the sentinels at {where}"
        return f"the Redis cluster at {where}" if self.kind == "cluster" else f"Redis at {where}"

    @classmethod
    def parse(cls, url: str) -> Location:
        """Read a URL in one of the `FORMS`, with settings in its query.

        Raises:
            UnknownBroker: if it is in none of them.
            ConfigurationError: for a setting that there is not, or that cannot be.
        """
        scheme, _, rest = url.partition("://")
        rest, _, query = rest.partition("?")
        login, at, where = rest.rpartition("@")
        username, _, password = login.partition(":")
        asked = _Query(scheme, query)
        transport, _, kind = scheme.partition("+")
        tls = None
        if transport == "rediss":
            tls = Tls(
                asked.file("tls_ca"),
                asked.file("tls_cert"),
                asked.file("tls_key"),
                verify=asked.flag("tls_verify"),
            )
            if (tls.certificate is None) != (tls.key is None):
                raise ConfigurationError(f"{scheme}://: tls_cert and tls_key belong together")
        if scheme == "unix":
            if not where.startswith("/") or where.endswith("/"):
                raise _wrong(scheme, "has no path of a socket")
            place: dict[str, object] = {"addresses": (), "path": unquote(where), "database": asked.database()}
        else:
            place = _place(scheme, kind, where)
        location = cls(
            username=unquote(username) if at else "",
            password=unquote(password) if at else "",
            tls=tls,
            settings=asked.settings(),
            **place,  # type: ignore[arg-type]
        )
        asked.check_nothing_left()
        return location


def _place(scheme: str, kind: str, where: str) -> dict[str, object]:
    hosts, _, path = where.partition("/")
    parts = [unquote(part) for part in path.split("/")] if path else []
    default = SENTINEL_PORT if kind == "sentinel" else REDIS_PORT
    addresses = tuple(_addresses(scheme, hosts, default))
    if kind == "cluster":
        if parts:
            raise _wrong(scheme, "has a path: a cluster has one database only")
        return {"kind": "cluster", "addresses": addresses}
    name = ""
    if kind == "sentinel":
        if not parts or not parts[0]:
            raise _wrong(scheme, "does not say what the sentinels call the master")
        name, *parts = parts
    elif len(addresses) > 1:
        raise _wrong(scheme, f"names several servers: {scheme}+cluster:// and {scheme}+sentinel:// do")
    if len(parts) > 1 or (parts and not (parts[0].isascii() and parts[0].isdigit())):
        raise _wrong(scheme, "has a path that is no database's number")
    database = int(parts[0]) if parts else 0
    return {"kind": kind or "server", "addresses": addresses, "name": name, "database": database}


def _addresses(scheme: str, hosts: str, default: int) -> Iterator[Address]:
    for address in hosts.split(","):
        host, separator, port = address.rpartition(":")
        if not separator or port.endswith("]"):  # a bare IPv6 address ends like that
            host, port = address, ""
        host = host.removeprefix("[").removesuffix("]")
        if not host:
            raise _wrong(scheme, "names no host")
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
            raise _wrong(scheme, "has a port that is none")
        yield host, int(port or default)


class _Query:
    """The settings in a URL's query, each taken once."""

    def __init__(self, scheme: str, query: str) -> None:
        self._scheme = scheme
        self._values: dict[str, str] = dict(parse_qsl(query, keep_blank_values=True))
        self._known: list[str] = []

    def settings(self) -> Settings:
        standard = Settings()
        prefix = self._take("prefix")
        if prefix is not None and not (prefix and prefix.isprintable() and "{" not in prefix):
            raise self._wrong("prefix", "is some characters, none of them a brace")
        return Settings(
            self._seconds("timeout", standard.timeout, 0.1),
            self._seconds("presence_ttl", standard.presence_ttl, 0.3),
            self._seconds("key_ttl", standard.key_ttl, 1.0),
            prefix or standard.prefix,
        )

    def database(self) -> int:
        value = self._take("db")
        if value is None:
            return 0
        if not (value.isascii() and value.isdigit()):
            raise self._wrong("db", "is the number of a database")
        return int(value)

    def file(self, name: str) -> str | None:
        value = self._take(name)
        if value is not None and not Path(value).is_file():
            raise self._wrong(name, "names a file, and there is none of that name")
        return value

    def flag(self, name: str) -> bool:
        value = self._take(name)
        if value not in {None, "yes", "no"}:
            raise self._wrong(name, "is yes or no")
        return value != "no"

    def check_nothing_left(self) -> None:
        for name in self._values:
            known = ", ".join(sorted(self._known))
            raise ConfigurationError(f"{self._scheme}:// has no setting {name!r}: there are {known}")

    def _seconds(self, name: str, standard: float, least: float) -> float:
        value = self._take(name)
        if value is None:
            return standard
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not least <= seconds <= 366 * 86400:
            raise self._wrong(name, f"is a number of seconds from {least:g} to those of a year")
        return seconds

    def _take(self, name: str) -> str | None:
        self._known.append(name)
        return self._values.pop(name, None)

    def _wrong(self, name: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self._scheme}://: {name} {problem}")


def _wrong(scheme: str, problem: str) -> UnknownBroker:
    # What is wrong is not repeated: passwords stand in URLs.
    return UnknownBroker(
        f"the broker's {scheme}:// URL {problem}: write {FORMS.get(scheme, ' or '.join(FORMS.values()))}"
    )
