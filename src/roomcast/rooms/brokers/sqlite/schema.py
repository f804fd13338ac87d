"""The tables of a file of rooms, how it is opened, and what is wrong where it cannot be."""

from __future__ import annotations

import secrets
import sqlite3
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable, ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
"""The version of the tables, which the file has as its `user_version`."""
APPLICATION = 0x526F6F6D
"""By which SQLite's `application_id` tells a file of rooms from any other."""
BUSY_SECONDS = 2.0
"""How long a lock of another program is waited for."""
CHECKED_BYTES = 64 << 20
"""Up to which size a file is read through when it is opened. In a bigger one damage shows where it is met."""
WAL_BYTES = 4 << 20
"""What the write-ahead log is cut back to."""

TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rooms (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    offset INTEGER NOT NULL,
    used REAL NOT NULL,
    kept INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    keyed INTEGER NOT NULL,
    expires REAL NOT NULL
);
CREATE INDEX rooms_by_expiry ON rooms (expires);
CREATE TABLE publications (
    id INTEGER PRIMARY KEY,
    room INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    time REAL NOT NULL,
    payload BLOB NOT NULL
);
CREATE UNIQUE INDEX publications_in_order ON publications (room, offset);
CREATE TABLE keys (
    room INTEGER NOT NULL,
    key TEXT NOT NULL,
    offset INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (room, key)
) WITHOUT ROWID;
"""
# The epoch in `meta` is that of rooms that are not in the file: their offset 0 counts in it, and so does their
# first publication. It changes whenever a room is removed, which, should it come back, counts from 1 again.


def connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """Open the file, and make it where there is none.

    Raises:
        ConfigurationError: it is damaged, something else than a file of rooms, of a newer version, or cannot be
            written.
        BrokerUnavailable: it cannot be used now, since it is locked or the disk is full.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"the folder {path.parent} does not exist: make it, or choose another file")
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _prepare(connection, path, synchronous)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise explained(path, error) from None
    return connection


def explained(path: Path, error: BaseException) -> ConfigurationError | BrokerUnavailable:
    """Say what is wrong with the file, and what to do."""
    name = getattr(error, "sqlite_errorname", "") or ""
    said = " ".join(str(error).split())[:200]
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return ConfigurationError(
            f"{path} is damaged, or no SQLite database ({said}): restore it from a copy, or move it away with "
            f"{path.name}-wal and {path.name}-shm to begin with an empty one"
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return BrokerUnavailable(f"{path} is locked by another program, such as one that looks into it: end that")
    if name.startswith("SQLITE_FULL"):
        return BrokerUnavailable(f"there is no space for {path}: make some on its disk")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return ConfigurationError(
            f"{path} cannot be opened for writing ({said}): it has to be a file in a folder that may be written"
        )
    return BrokerUnavailable(f"{path} cannot be read or written: {said}")


def _prepare(connection: sqlite3.Connection, path: Path, synchronous: str) -> None:
    version = _number(connection, "user_version")
    application = _number(connection, "application_id")
    if application != APPLICATION and _number(connection, "schema_version"):
        raise ConfigurationError(
            f"{path} is a database of something else, which is left as it is: choose another file"
        )
    if application == APPLICATION and version > VERSION:
        raise ConfigurationError(
            f"{path} is of version {version}, and this Roomcast reads up to {VERSION}: install a newer one, or "
            "choose another file"
        )
    if application != APPLICATION:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts only before there are tables
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    connection.execute("PRAGMA synchronous = FULL")
    if application != APPLICATION:
        connection.executescript(TABLES)
        connection.execute("INSERT INTO meta VALUES ('epoch', ?), ('retention', '')", (secrets.token_hex(4),))
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    elif path.stat().st_size <= CHECKED_BYTES:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            error = sqlite3.DatabaseError(found)
            error.sqlite_errorname = "SQLITE_CORRUPT"
            raise error
    connection.execute(f"PRAGMA synchronous = {synchronous}")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (number,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)
