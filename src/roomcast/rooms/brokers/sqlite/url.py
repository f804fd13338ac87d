"""What a `sqlite:` URL says: which file, and how sure a commit is to be."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from roomcast.errors import ConfigurationError, UnknownBroker

FORMS = "sqlite:///FILE for a file below the current directory, or sqlite:////FILE for one with its whole path"
SYNCHRONOUS = ("full", "normal")
"""How SQLite sees to it that a commit is on the disk: at each commit, or now and then."""


class Location(NamedTuple):
    """Where a broker keeps its rooms.

    Attributes:
        path: the file.
        synchronous: "full", with which what was published outlives a power failure, or "normal", with which
            the last of it may not, and a publish costs less.
    """

    path: Path
    synchronous: str = "full"

    @property
    def url(self) -> str:
        """The URL of the file, as `parse` reads it."""
        return f"sqlite:///{quote(self.path.as_posix())}"

    @classmethod
    def parse(cls, url: str) -> Location:
        """Read `sqlite:///FILE`, with `?synchronous=normal` or without.

        Raises:
            UnknownBroker: if it names no file.
            ConfigurationError: for a setting that there is not.
        """
        rest = url.partition("://")[2]
        address, _, query = rest.partition("?")
        host, slash, name = address.partition("/")
        # What is wrong is not repeated: passwords stand in URLs.
        if host or not slash:
            raise UnknownBroker(f"sqlite:// takes no host: write {FORMS}")
        path = unquote(name)
        if not path or path.endswith("/") or "\0" in path:
            raise UnknownBroker(f"sqlite:// names no file: write {FORMS}")
        if path == ":memory:":
            raise UnknownBroker("sqlite:// keeps rooms in a file; memory:// keeps them in memory")
        return cls(Path(path), **_settings(query))


def _settings(query: str) -> dict[str, str]:
    settings = dict(parse_qsl(query, keep_blank_values=True))
    for name in settings.keys() - {"synchronous"}:
        raise ConfigurationError(f"sqlite:// has no setting {name!r}: there is synchronous")
    for value in set(settings.values()) - set(SYNCHRONOUS):
        raise ConfigurationError(f"sqlite://: synchronous is {' or '.join(SYNCHRONOUS)}, not {value!r}")
    return settings
