"""RoomsFile: one file of rooms, and what becomes of publications where it cannot be written."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable, ConfigurationError, NotKept
from roomcast.rooms.brokers.history import History
from roomcast.rooms.brokers.sqlite.ownership import Ownership
from roomcast.rooms.brokers.sqlite.requests import Locate, Publish, Read, Sweep
from roomcast.rooms.brokers.sqlite.schema import BUSY_SECONDS, connect, explained
from roomcast.rooms.brokers.sqlite.tables import Tables
from roomcast.rooms.publication import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from roomcast.rooms.brokers.sqlite.requests import Request
    from roomcast.rooms.brokers.sqlite.tables import Row
    from roomcast.rooms.brokers.sqlite.url import Location
    from roomcast.rooms.retention import Retention

logger = logging.getLogger("roomcast.rooms")

WARNING_INTERVAL = 60.0
"""How many seconds lie at the least between two warnings."""
REOPENING_INTERVAL = 1.0
"""How many seconds lie at the least between two attempts to open a file anew that was of no use."""
INTERRUPTED_ROOMS = 1_000
"""In how many rooms publications can be carried that are not kept, until the file can be written again."""
UNKEPT_KEYS = 10_000
"""How many keys of such publications are remembered."""
Failure = (sqlite3.Error, OSError, BrokerUnavailable, ConfigurationError, OverflowError)
"""What can be wrong with a file."""


class RoomsFile:
    """Does what a broker asks of its file. All of it belongs to one thread.

    What cannot be written is carried to the members nevertheless, without a position. As it is missing in the
    history then, its room has a new epoch at once: in memory, until the file can be written again, and by the
    ownership's mark also for a process that comes after this one.

    Args:
        location: the file, and how sure a commit is to be.
        retention_of: gives what a room keeps.
        retention: all that `retention_of` says, as text: a change has all rooms looked through.
        clock: gives the time in seconds since the Unix epoch.
    """

    def __init__(
        self,
        location: Location,
        retention_of: Callable[[str], Retention],
        retention: str,
        clock: Callable[[], float],
    ) -> None:
        self._path = location.path
        self._synchronous = location.synchronous
        self._retention_of = retention_of
        self._retention = retention
        self._clock = clock
        self._ownership = Ownership(location.path)
        self._tables: Tables | None = None
        self._identity: tuple[int, int] = (0, 0)
        self._interrupted: dict[str, str] = {}
        """Rooms in which something was not kept, and what tells their new epoch, which is not in the file yet."""
        self._unkept: OrderedDict[tuple[str, str], Position | None] = OrderedDict()
        """Keys of what was carried while the file could not be written, and its position where it needed none."""
        self._trouble = ""
        """Why the file cannot be used, "" where it can."""
        self._next_opening = 0.0
        self._next_warning = 0.0
        self._untold = 0
        self.not_kept = 0
        """How many publications were carried, but not kept."""

    def open(self) -> None:
        """Take the file for this process, and open it.

        Raises:
            BrokerInUse: another process has it.
            ConfigurationError: it cannot be one of rooms.
            BrokerUnavailable: it cannot be used now.
        """
        if not self._path.parent.is_dir():
            raise ConfigurationError(
                f"the folder {self._path.parent} does not exist: make it, or choose another file"
            )
        try:
            self._ownership.acquire()
        except OSError as error:
            problem = (
                f"{self._path} cannot be used, since {self._path.name}-lock beside it cannot: {error.strerror}"
            )
            kind = ConfigurationError if isinstance(error, PermissionError) else BrokerUnavailable
            raise kind(problem) from None
        try:
            self._tables = self._connect()
        except BaseException:
            self._ownership.release()
            raise

    def close(self) -> None:
        """Write what is not written yet, as far as that goes, and let go of the file."""
        with suppress(*Failure):
            if self._interrupted:
                self._write([])
        with suppress(*Failure):
            if not self._interrupted and self._is_synced():
                self._ownership.mark(on=False)
        self._disconnect()
        self._ownership.release()

    def process(self, requests: Sequence[Request]) -> None:
        """Do what was asked for: all that is to be written in one transaction."""
        publications = [request for request in requests if isinstance(request, Publish)]
        if any(publication.durable for publication in publications):
            try:
                self._write(publications)
            except Failure as error:
                self._fail(error)
                self._carry(publications, error)
        for request in requests:
            match request:
                case Publish(durable=False):
                    request.carried = True
                    request.answer = request.newest = request.newest or self._position(request.room)
                case Read():
                    self._read(request)
                case Locate():
                    request.found = self._position(request.room)
                case Sweep():
                    self._sweep(request)

    # In order

    def _write(self, publications: Iterable[Publish]) -> None:
        tables = self._connected()
        self._check_identity()
        rooms: dict[str, list[Publish]] = {room: [] for room in self._interrupted}
        for publication in publications:
            rooms.setdefault(publication.room, []).append(publication)
        with tables.transaction():
            for room, items in rooms.items():
                row = self._row(tables, room)
                news = [item for item in items if item.durable and not self._is_known_unkept(item, row.position)]
                if news:
                    tables.publish(row, news)
                if news or room in self._interrupted:
                    tables.save(row)
        self._recovered(tables)

    def _sweep(self, sweep: Sweep) -> None:
        try:
            tables = self._connected()
            if self._interrupted:
                self._write([])
            with tables.transaction():
                sweep.forgotten, sweep.more = tables.sweep(sweep.in_use)
            self._recovered(tables)
            tables.shrink()
        except Failure as error:
            sweep.forgotten, sweep.more = [], False
            self._fail(error)

    def _read(self, read: Read) -> None:
        try:
            tables = self._connected()
            self._row(tables, read.room)
            read.found = tables.history(read.room, read.since, read.limit, reverse=read.reverse)
        except Failure as error:
            self._fail(error)
            if read.limit == 0:  # nothing but the position was asked for
                read.found = History([], self._position(read.room), complete=False)
            read.error = BrokerUnavailable(f"the history cannot be read: {self._reason(error)}")

    def _position(self, room: str) -> Position:
        """Give the room's newest position; of a file that cannot be read, one that nothing ever counts from."""
        try:
            return self._row(self._connected(), room).position
        except Failure as error:
            self._fail(error)
            return Position(0, self._interrupted.get(room) or secrets.token_hex(4))

    def _row(self, tables: Tables, room: str) -> Row:
        row = tables.row(room)
        if room in self._interrupted:
            row.renew_epoch(self._interrupted[room])
        return row

    # In trouble

    def _carry(self, publications: Iterable[Publish], error: Exception) -> None:
        """Have publications carried that cannot be kept."""
        reason = f"it was carried to the room's members, but is not in its history: {self._reason(error)}"
        renewed_now: set[str] = set()
        for item in publications:
            item.carried, item.position, item.answer, item.newest, item.error = False, None, None, None, None
            room = item.room
            if item.durable and (self._is_known_unkept(item, None) or self._is_known(item)):
                continue
            if not item.keep:
                item.carried = True
                item.answer = item.newest = self._position(room)
                self._remember(item)
                continue
            if room not in self._interrupted and len(self._interrupted) >= INTERRUPTED_ROOMS:
                item.error = BrokerUnavailable(f"nothing was published: {self._reason(error)}")
                continue
            if room not in renewed_now:
                renewed_now.add(room)
                self._interrupt(room)
            item.carried = True
            item.newest = self._position(room)
            item.error = NotKept(reason)
            self._remember(item)
            self._count()

    def _is_known_unkept(self, item: Publish, newest: Position | None) -> bool:
        """Whether it was carried before while the file could not be written; if so, it is answered."""
        if item.key is None or (item.room, item.key) not in self._unkept:
            return False
        item.newest = newest
        item.answer = self._unkept[item.room, item.key]
        if item.answer is None:
            item.error = NotKept("it was carried to the room's members before, and could not be kept")
        return True

    def _is_known(self, item: Publish) -> bool:
        """Whether it is in the file already, as far as that can be read; if so, it is answered."""
        if item.key is None:
            return False
        try:
            tables = self._connected()
            row = self._row(tables, item.room)
            item.answer = tables.known(row, [item.key]).get(item.key)
            item.newest = row.position
        except Failure:
            return False
        return item.answer is not None

    def _remember(self, item: Publish) -> None:
        if item.key is not None:
            self._unkept[item.room, item.key] = item.answer
            if len(self._unkept) > UNKEPT_KEYS:
                self._unkept.popitem(last=False)

    def _interrupt(self, room: str) -> None:
        """Give the room a new epoch, in memory."""
        if not self._interrupted:
            with suppress(OSError):  # a disk that takes nothing at all, not even in place
                self._ownership.mark(on=True)
        self._interrupted[room] = secrets.token_hex(4)

    def _fail(self, error: Exception) -> None:
        """Note what is wrong, and see to it that the next one finds a file that may be used."""
        self._trouble = self._reason(error)
        if self._tables is None:
            return
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL):
            self._tables.connection.execute(
                "PRAGMA busy_timeout = 0"
            )  # whoever publishes next does not wait for it again
        else:
            self._disconnect()
            self._next_opening = time.monotonic() + REOPENING_INTERVAL

    def _recovered(self, tables: Tables) -> None:
        """The file was written: all that had to wait for that is in it."""
        if self._interrupted:
            self._interrupted.clear()
            with suppress(OSError):
                self._ownership.mark(on=self._synchronous != "full")
        if self._trouble:
            self._trouble = ""
            tables.connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
            if self._next_warning:  # something was said of it
                logger.warning(
                    "%s is written again; %d publications in all were not kept", self._path, self.not_kept
                )
            self._untold, self._next_warning = 0, 0.0

    def _count(self) -> None:
        self.not_kept += 1
        self._untold += 1
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + WARNING_INTERVAL
            logger.warning(
                "publications are carried, but not kept (%d since this was last said): %s",
                self._untold,
                self._trouble,
            )
            self._untold = 0

    def _reason(self, error: Exception) -> str:
        told = error if isinstance(error, BrokerUnavailable | ConfigurationError) else explained(self._path, error)
        return str(told)

    # The connection

    def _connected(self) -> Tables:
        if self._tables is None:
            if self._trouble and time.monotonic() < self._next_opening:
                raise BrokerUnavailable(self._trouble)
            self._next_opening = time.monotonic() + REOPENING_INTERVAL
            self._tables = self._connect()
        return self._tables

    def _connect(self) -> Tables:
        connection = connect(self._path, self._synchronous)
        try:
            tables = Tables(connection, self._retention_of, self._clock)
            with tables.transaction():
                if self._ownership.marked and not self._trouble:
                    tables.renew_all()  # whoever had the file before did not come to write what was missing
                tables.adopt(self._retention)
            if not self._trouble:
                # Without a sync at each commit, a power failure may take publications that members saw.
                self._ownership.mark(on=self._synchronous != "full")
            status = self._path.stat()
        except (sqlite3.Error, OSError) as error:
            connection.close()
            raise explained(self._path, error) from None
        self._identity = status.st_dev, status.st_ino
        return tables

    def _is_synced(self) -> bool:
        """See to it that all that was committed is on the disk; says whether it is."""
        if self._synchronous == "full" or self._tables is None:
            return self._synchronous == "full"
        (busy, _, _) = self._tables.connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        return not busy

    def _disconnect(self) -> None:
        if self._tables is not None:
            with suppress(sqlite3.Error):
                self._tables.connection.close()
            self._tables = None

    def _check_identity(self) -> None:
        """Find out whether the file is still there: SQLite would write on to one that was removed."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            raise BrokerUnavailable(f"{self._path} was removed while it was in use") from None
        if (status.st_dev, status.st_ino) != self._identity:
            raise BrokerUnavailable(f"{self._path} was replaced by another file while it was in use")
