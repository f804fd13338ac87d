"""Onlooker: reads a file of rooms that belongs to another process, or to none."""

from __future__ import annotations

import sqlite3
import time
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import quote

from roomcast.errors import BrokerUnavailable, ConfigurationError
from roomcast.rooms.brokers.sqlite.schema import APPLICATION, BUSY_SECONDS, VERSION, explained
from roomcast.rooms.brokers.sqlite.tables import Tables
from roomcast.rooms.publication import Position
from roomcast.rooms.retention import MAX_BYTES, MAX_SIZE, Retention

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.rooms.brokers.history import History
    from roomcast.rooms.brokers.sqlite.url import Location

_EVERYTHING = Retention(size=MAX_SIZE, bytes=MAX_BYTES, age=inf)


class KeptRoom(NamedTuple):
    """A room in a file.

    Attributes:
        name: its name.
        kept: how many publications are kept.
        position: its newest position.
        used: when something was last published in it, in seconds since the Unix epoch.
    """

    name: str
    kept: int
    position: Position
    used: float


class Onlooker:
    """Looks into a file of rooms without taking it: whoever has it goes on. Who is in the rooms is not in it.

        with Onlooker(Location.parse("sqlite:///rooms.db")) as onlooker:
            history = onlooker.history("general", limit=10, reverse=True)

    Args:
        location: the file.
        clock: gives the time in seconds since the Unix epoch.

    Raises:
        ConfigurationError: it is something else than a file of rooms, or cannot be read.
        BrokerUnavailable: there is no such file, or it cannot be read now.
    """

    def __init__(self, location: Location, clock: Callable[[], float] = time.time) -> None:
        self._path = location.path
        self._clock = clock
        self._connection: sqlite3.Connection

    def __enter__(self) -> Self:
        if not self._path.exists():
            raise BrokerUnavailable(f"there is no file {self._path}: nothing was published there yet")
        address = f"file:{quote(str(self._path))}?mode=ro"
        try:
            self._connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                self._check()
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise explained(self._path, error) from None
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def history(
        self, room: str, *, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> History:
        """Give what is kept after `since` (all, if None), the oldest `limit`, or the newest with `reverse`."""
        tables = Tables(self._connection, lambda _: _EVERYTHING, self._clock)
        try:
            return tables.history(room, since, limit, reverse=reverse)
        except sqlite3.Error as error:
            raise explained(self._path, error) from None

    def rooms(self) -> list[KeptRoom]:
        """Give the rooms in the file, the latest used first."""
        try:
            found = self._connection.execute(
                "SELECT name, (SELECT count(*) FROM publications WHERE room = rooms.id), offset, epoch, used "
                "FROM rooms ORDER BY used DESC, name"
            )
            return [
                KeptRoom(name, kept, Position(offset, epoch), used) for name, kept, offset, epoch, used in found
            ]
        except sqlite3.Error as error:
            raise explained(self._path, error) from None

    def _check(self) -> None:
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION:
            raise ConfigurationError(f"{self._path} is no file of rooms: name one that a server has for its rooms")
        if version > VERSION:
            raise ConfigurationError(
                f"{self._path} is of version {version}, and this Roomcast reads up to {VERSION}: take a newer one"
            )
