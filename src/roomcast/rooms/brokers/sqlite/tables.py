"""Tables: the rooms as SQLite has them. What writes happens in the `transaction` of whoever calls."""

from __future__ import annotations

import secrets
import sqlite3
from collections import OrderedDict
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from roomcast.rooms.brokers.history import History
from roomcast.rooms.publication import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from roomcast.rooms.brokers.sqlite.requests import Publish
    from roomcast.rooms.retention import Retention

T = TypeVar("T")

KEYS = 1024
"""How many keys of a room are known at the least, if they came within `KEYS_AGE`."""
KEYS_SLACK = 128
"""How many more there may be before the oldest are removed, which looks at them all."""
KEYS_AGE = 7 * 86400.0
"""For how many seconds a key is known: as long as a page may be away with messages it has not sent."""
ROOMS = 100_000
"""How many rooms are remembered, of those that nobody is in."""
REMEMBERED_ROWS = 4096
"""How many rooms' rows are kept in memory."""
ROWS_A_STATEMENT = 50
SWEPT_ROOMS = 20
"""How many rooms one sweep looks at: what is published meanwhile waits for it."""
STILL_IN_USE = 3600.0
"""After how many seconds a room is looked at again which was too old to remember, but in use."""


class Row:
    """A room's row, and what it will be when the transaction ends."""

    __slots__ = ("bytes", "epoch", "expires", "id", "kept", "keyed", "name", "offset", "retention", "used")

    def __init__(self, name: str, epoch: str, retention: Retention) -> None:
        self.id: int | None = None
        self.name = name
        self.epoch = epoch
        self.offset = 0
        self.used = 0.0
        self.kept = 0
        self.bytes = 0
        self.keyed = 0
        self.expires = float("inf")
        self.retention = retention

    @property
    def position(self) -> Position:
        """The room's newest position."""
        return Position(self.offset, self.epoch)

    def renew_epoch(self, distinction: str) -> None:
        """Begin an epoch because something is missing; the offsets count on, so nobody gets anything twice."""
        self.epoch = f"{self.position.numbering}-{distinction}"


class Tables:
    """Reads and writes rooms through one connection.

    Args:
        connection: a connection that commits nothing by itself.
        retention_of: gives what a room keeps.
        clock: gives the time in seconds since the Unix epoch.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        retention_of: Callable[[str], Retention],
        clock: Callable[[], float],
    ) -> None:
        self.connection = connection
        self._retention_of = retention_of
        self._clock = clock
        self._rows: OrderedDict[str, Row] = OrderedDict()

    def row(self, name: str) -> Row:
        """Give the room's row, or a new one that is not in the file yet."""
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = self._load(name)
            if len(self._rows) > REMEMBERED_ROWS:
                self._rows.popitem(last=False)
        else:
            self._rows.move_to_end(name)
        return row

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done in the block, or take all of it back where the block or the commit raises."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            self._rows.clear()
            with suppress(sqlite3.Error):
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
            raise

    def publish(self, row: Row, items: Sequence[Publish]) -> None:
        """Give publications of one room their positions, in order, keep them, and remember their keys."""
        if row.id is None:
            self._create(row)
        now = row.used = max(self._clock(), row.used)  # in a room, times never go back
        most = row.retention
        known = self.known(row, [item.key for item in items if item.key is not None])
        kept: list[tuple[object, ...]] = []
        keys: list[tuple[object, ...]] = []
        for item in items:
            if item.key is not None and (before := known.get(item.key)) is not None:
                item.answer, item.newest = before, row.position
                continue
            if item.keep:
                row.offset += 1
                if not most.size or len(item.payload) > most.bytes:
                    kept.clear()
                    self._remove(row, row.offset)
                    row.kept = row.bytes = 0
                else:
                    kept.append((row.id, row.offset, now, item.payload))
                    row.kept += 1
                    row.bytes += len(item.payload)
            position = row.position
            item.carried = True
            item.position = position if item.keep else None
            item.answer = item.newest = position
            if item.key is not None:
                known[item.key] = position
                keys.append((row.id, item.key, position.offset, position.epoch, now))
        self._insert("publications (room, offset, time, payload)", kept)
        # One that is too old to be known may be there still.
        self._insert("keys (room, key, offset, epoch, time)", keys, verb="INSERT OR REPLACE")
        row.keyed += len(keys)
        row.expires = min(row.expires, now + most.age, now + KEYS_AGE if keys else float("inf"))
        self._trim(row, now)
        if row.keyed > KEYS + KEYS_SLACK:
            self._trim_keys(row)

    def save(self, row: Row) -> None:
        """Write a room's row."""
        if row.id is None:
            self._create(row)
        self.connection.execute(
            "UPDATE rooms SET epoch = ?, offset = ?, used = ?, kept = ?, bytes = ?, keyed = ?, expires = ? "
            "WHERE id = ?",
            (row.epoch, row.offset, row.used, row.kept, row.bytes, row.keyed, row.expires, row.id),
        )

    def known(self, row: Row, keys: Sequence[str]) -> dict[str, Position]:
        """Give the positions of those keys that were seen lately."""
        found: dict[str, Position] = {}
        if row.keyed:
            since = self._clock() - KEYS_AGE
            for some in _in_parts(keys):
                marks = ", ".join("?" * len(some))
                for key, offset, epoch in self.connection.execute(
                    f"SELECT key, offset, epoch FROM keys WHERE room = ? AND key IN ({marks}) AND time > ?",  # noqa: S608
                    (row.id, *some, since),
                ):
                    found[key] = Position(offset, epoch)
        return found

    def history(self, name: str, since: Position | None, limit: int | None, *, reverse: bool) -> History:
        """Read what is kept of a room."""
        row = self.row(name)
        newest = row.position
        after = 0
        if since is not None and since.numbering == newest.numbering:
            after = min(since.offset, newest.offset)
        which = "FROM publications WHERE room = ? AND offset > ? AND time > ?"
        wanted = (row.id, after, self._clock() - row.retention.age)
        (count,) = self.connection.execute(f"SELECT count(*) {which}", wanted).fetchone()
        rows = self.connection.execute(
            f"SELECT offset, payload {which} ORDER BY offset {'DESC' if reverse else 'ASC'} LIMIT ?",
            (*wanted, count if limit is None else limit),
        ).fetchall()
        complete = len(rows) == count
        if since is not None and (since.epoch != newest.epoch or count != newest.offset - since.offset):
            complete = False
        return History([(Position(offset, newest.epoch), payload) for offset, payload in rows], newest, complete)

    def sweep(self, in_use: frozenset[str]) -> tuple[list[str], bool]:
        """Remove what is too old, and rooms that nobody uses; gives those, and whether there is more to do."""
        now = self._clock()
        due = self._names("WHERE expires <= ? ORDER BY expires LIMIT ?", now, SWEPT_ROOMS)
        forgotten = [name for name in due if self._expire(self.row(name), now, in_use=name in in_use)]
        (count,) = self.connection.execute("SELECT count(*) FROM rooms").fetchone()
        more = len(due) == SWEPT_ROOMS
        over = min(count - len(in_use) - ROOMS, SWEPT_ROOMS)
        if over > 0:
            oldest = self._names("ORDER BY used LIMIT ?", len(in_use) + over)
            for name in [name for name in oldest if name not in in_use][:over]:
                self._drop(self.row(name))
                forgotten.append(name)
            more = True
        if forgotten:
            self.connection.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (secrets.token_hex(4),))
            self._rows.clear()
        return forgotten, more

    def adopt(self, retention: str) -> None:
        """Have all rooms looked at again by `sweep`, where what they keep is not what it was at the last time."""
        (before,) = self.connection.execute("SELECT value FROM meta WHERE name = 'retention'").fetchone()
        if before != retention:
            self.connection.execute("UPDATE meta SET value = ? WHERE name = 'retention'", (retention,))
            self.connection.execute("UPDATE rooms SET expires = 0")

    def renew_all(self) -> None:
        """Give every room a new epoch: something may be missing in any."""
        self._rows.clear()
        self.connection.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (secrets.token_hex(4),))
        self.connection.execute(
            "UPDATE rooms SET epoch = substr(epoch, 1, instr(epoch || '-', '-') - 1) || '-' || "
            "lower(hex(randomblob(4)))"
        )

    def shrink(self) -> None:
        """Give back some of the space that is free in the file, where that is much of it."""
        (free,) = self.connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
        if free > 256 and free > pages // 4:
            # Each page is a step of the statement; `execute` would make one.
            self.connection.executescript("PRAGMA incremental_vacuum(1000)")

    def _load(self, name: str) -> Row:
        found = self.connection.execute(
            "SELECT id, epoch, offset, used, kept, bytes, keyed, expires FROM rooms WHERE name = ?", (name,)
        ).fetchone()
        row = Row(name, "", self._retention_of(name))
        if found is None:
            (row.epoch,) = self.connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        else:
            row.id, row.epoch, row.offset, row.used, row.kept, row.bytes, row.keyed, row.expires = found
        return row

    def _create(self, row: Row) -> None:
        row.used = self._clock()
        row.expires = row.used + row.retention.age
        row.id = self.connection.execute(
            "INSERT INTO rooms (name, epoch, offset, used, kept, bytes, keyed, expires) "
            "VALUES (?, ?, 0, ?, 0, 0, 0, ?)",
            (row.name, row.epoch, row.used, row.expires),
        ).lastrowid

    def _insert(self, into: str, rows: Sequence[tuple[object, ...]], verb: str = "INSERT") -> None:
        """Insert rows, many with each statement: for each, this thread has to get the interpreter back."""
        for some in _in_parts(rows):
            marks = ", ".join([f"({', '.join('?' * len(some[0]))})"] * len(some))
            self.connection.execute(f"{verb} INTO {into} VALUES {marks}", tuple(chain.from_iterable(some)))

    def _trim(self, row: Row, now: float) -> None:
        """Remove the oldest publications that are over the room's bounds."""
        most = row.retention
        if row.kept <= most.size and row.bytes <= most.bytes and row.expires > now:
            return
        over, oldest = 0, now
        for offset, time, size in self.connection.execute(
            "SELECT offset, time, length(payload) FROM publications WHERE room = ? ORDER BY offset", (row.id,)
        ):
            if row.kept <= most.size and row.bytes <= most.bytes and time > now - most.age:
                oldest = time
                break
            row.kept -= 1
            row.bytes -= size
            over = offset
        self._remove(row, over)
        row.expires = min(oldest + most.age, now + KEYS_AGE if row.keyed else float("inf"))

    def _remove(self, row: Row, offset: int) -> None:
        """Remove the publications up to an offset."""
        self.connection.execute("DELETE FROM publications WHERE room = ? AND offset <= ?", (row.id, offset))

    def _trim_keys(self, row: Row) -> None:
        """Remove the oldest keys that are over the bound."""
        self.connection.execute(
            "DELETE FROM keys WHERE room = :room AND time < "
            "(SELECT time FROM keys WHERE room = :room ORDER BY time DESC LIMIT 1 OFFSET :known)",
            {"room": row.id, "known": KEYS - 1},
        )
        (row.keyed,) = self.connection.execute("SELECT count(*) FROM keys WHERE room = ?", (row.id,)).fetchone()

    def _expire(self, row: Row, now: float, *, in_use: bool) -> bool:
        """Remove what is too old in a room, and the room itself where nothing is left; says whether it did."""
        self._trim(row, now)
        row.keyed -= self.connection.execute(
            "DELETE FROM keys WHERE room = ? AND time <= ?", (row.id, now - KEYS_AGE)
        ).rowcount
        unused = row.used + row.retention.age
        if not row.kept and not row.keyed and unused <= now and not in_use:
            self._drop(row)
            return True
        (publication, key) = self.connection.execute(
            "SELECT (SELECT time FROM publications WHERE room = :room ORDER BY offset LIMIT 1), "
            "(SELECT min(time) FROM keys WHERE room = :room)",
            {"room": row.id},
        ).fetchone()
        due = [unused if unused > now else now + STILL_IN_USE]
        due += [] if publication is None else [publication + row.retention.age]
        due += [] if key is None else [key + KEYS_AGE]
        row.expires = min(due)
        self.save(row)
        return False

    def _drop(self, row: Row) -> None:
        self.connection.execute("DELETE FROM publications WHERE room = ?", (row.id,))
        self.connection.execute("DELETE FROM keys WHERE room = ?", (row.id,))
        self.connection.execute("DELETE FROM rooms WHERE id = ?", (row.id,))

    def _names(self, which: str, *values: object) -> list[str]:
        return [name for (name,) in self.connection.execute(f"SELECT name FROM rooms {which}", values)]  # noqa: S608


def _in_parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        yield rows[start : start + ROWS_A_STATEMENT]
