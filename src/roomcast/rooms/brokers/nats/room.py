"""Room: one room as a node sees it, and the queue of what the node has to say there."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from hashlib import sha256
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.nats.entry import HEADER, headers_of
from roomcast.rooms.brokers.nats.failures import WRONG_LAST_SEQUENCE, NobodyThere, Refused, Unreachable
from roomcast.rooms.brokers.nats.marks import Marks
from roomcast.rooms.brokers.nats.stream import EXPECTED, ID
from roomcast.rooms.publication import Position

if TYPE_CHECKING:
    from roomcast.rooms.brokers.nats.entry import Entry
    from roomcast.rooms.brokers.nats.link import Link
    from roomcast.rooms.brokers.nats.log import Log, Tail
    from roomcast.rooms.brokers.nats.subjects import Subjects
    from roomcast.rooms.retention import Retention

logger = logging.getLogger("roomcast.rooms")

MOST_TOGETHER = 256
"""How many publications are stored together at the most."""
BYTES_TOGETHER = 256 << 10
"""How many bytes are stored together at the most; more where one alone has more."""
HEADER_BYTES = 4096
"""How many bytes of a message the headers may need."""
ATTEMPT_SECONDS = 2.0
"""How long one attempt to store something may take before it is made again."""
TIDIED_FROM = 64
"""How much a node has stored in a room when it looks for what others have left there."""
FIRST_PAUSE, LAST_PAUSE = 0.01, 0.5
"""How many seconds lie between attempts where the stream is not there for now."""


class Said:
    """A publication that waits to be stored or carried."""

    __slots__ = ("done", "keep", "key", "payload")

    def __init__(self, payload: bytes, key: str | None, done: asyncio.Future[Position], *, keep: bool) -> None:
        self.payload = payload
        self.key = key
        self.keep = keep
        self.done = done

    @property
    def stored(self) -> bool:
        """Whether the stream has anything to do with it."""
        return self.keep or self.key is not None


class Room:
    """One room.

    What a node says in a room goes out in order, one message at a time: all that has come together while the one
    before was under way. Each is to come after the room's newest message, and the server sees to that: where
    another node was faster, it is refused, and goes out again with higher offsets.

    Args:
        name: its name.
        link: the way to NATS.
        log: the stream that has it.
        subjects: what it is called there.
        retention: what it keeps.
    """

    def __init__(self, name: str, link: Link, log: Log, subjects: Subjects, retention: Retention) -> None:
        self.name = name
        self.retention = retention
        self.marks = Marks(retention)
        self.tail: Tail | None = None
        self._link = link
        self._log = log
        self._subject = subjects.log(name)
        self._live = subjects.live(name)
        self._queue: deque[Said] = deque()
        self._saying: asyncio.Task[None] | None = None
        self._stored_here = 0

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._saying is not None

    def say(self, said: Said) -> None:
        """Have a publication stored and carried after those before it; its future has the outcome."""
        self._queue.append(said)
        if self._saying is None:
            self._saying = asyncio.create_task(self._say_all())

    async def close(self) -> None:
        """Say nothing more, and wait until what is under way has an outcome; cancelled, it has none."""
        for said in self._queue:
            _fail(said, BrokerUnavailable("the broker is closed; nothing was published"))
        self._queue.clear()
        if (saying := self._saying) is not None:
            try:
                await asyncio.wait([saying])
            finally:
                saying.cancel()

    def heard(self, entry: Entry) -> None:
        """Note an entry that came."""
        self._advance(self._log.tail_after(entry))
        self.marks.note(entry.sequence, entry.newest, entry.total, entry.time)

    async def newest(self) -> Tail:
        """Find out where the room ends."""
        tail = self._log.tail_after(await self._log.newest(self.name))
        self._advance(tail)
        return tail

    def _advance(self, tail: Tail) -> None:
        """Know the end, unless something that came after it is known already."""
        if self.tail is None or self.tail.sequence <= tail.sequence:
            self.tail = tail

    async def _say_all(self) -> None:
        try:
            while self._queue:
                together = self._take()
                try:
                    await (self._store(together) if together[0].stored else self._carry(together))
                except BrokerUnavailable as error:
                    for said in together:
                        _fail(said, error)
                except asyncio.CancelledError:
                    for said in together:
                        _fail(said, BrokerUnavailable("the broker is closed; it may be published all the same"))
                    raise
                except Exception:
                    logger.exception("a publication could not be sent")
                    for said in together:
                        _fail(said, BrokerUnavailable("the publication could not be sent: see the log"))
        finally:
            self._saying = None

    def _take(self) -> list[Said]:
        """Take what goes together from the queue: what has a key goes alone, as the server knows one a message."""
        queue = self._queue
        first = queue.popleft()
        together, size = [first], len(first.payload)
        most = min(BYTES_TOGETHER, self._link.max_payload - HEADER_BYTES)
        while queue and first.key is None and len(together) < MOST_TOGETHER:
            said = queue[0]
            size += len(said.payload)
            if said.key is not None or said.keep != first.keep or size > most:
                break
            if not said.done.done():  # else whoever said it has gone
                together.append(said)
            queue.popleft()
        return together

    async def _carry(self, together: list[Said]) -> None:
        """Carry what is not kept. The answer to the question after it shows that the server has had it."""
        payloads = [said.payload for said in together]
        self._check_size(payloads)
        await self._link.available()
        await self._link.send(self._live, b"".join(payloads), headers_of(payloads))
        tail = await self.newest()
        for said in together:
            _give(said, tail.position)

    async def _store(self, together: list[Said]) -> None:
        payloads = [said.payload for said in together]
        self._check_size(payloads)
        data, size = b"".join(payloads), sum(map(len, payloads))
        count = len(together) if together[0].keep else 0
        key, token = together[0].key, secrets.token_hex(6)
        headers = headers_of(payloads)
        if key is not None:
            headers[ID] = sha256(f"{self.name}\n{key}".encode()).hexdigest()[:32]
        unsure: int | None = None
        """After which entry an attempt was to come whose outcome is not known."""
        pause = FIRST_PAUSE
        while not all(said.done.done() for said in together):
            try:
                await self._link.available()
                if unsure is not None:
                    found = await self._log.next(self.name, unsure + 1)
                    if found is not None and found.token == token:
                        self._stored(found, together)
                        return
                    if found is not None:
                        unsure = None  # another one came after that entry, so this one never will
                tail = self.tail or await self.newest()
                total = tail.total + (size if count else 0)
                headers[HEADER] = f"{tail.epoch} {tail.offset + 1} {count} {total} {token}"
                headers[EXPECTED] = str(tail.sequence)
            except Unreachable:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_PAUSE)
                continue
            try:
                stored = await self._log.stream.put(self._subject, data, headers, ATTEMPT_SECONDS)
            except Refused as error:
                if error.code != WRONG_LAST_SEQUENCE:
                    raise
                if self.tail is not None and self.tail.sequence <= tail.sequence:
                    self.tail = None  # unless what came meanwhile is known already
                continue
            except Unreachable:
                unsure, self.tail = tail.sequence, None
                continue
            except NobodyThere:
                self.tail = None
                self._link.renew()
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_PAUSE)
                continue
            if stored.duplicate:
                self._found(await self._log.entry(stored.sequence), together)
                return
            now = tail._replace(sequence=stored.sequence, offset=tail.offset + count, total=total)
            self._advance(now)
            self.marks.note(stored.sequence, now.offset, total)
            self._log.witness(stored.sequence, headers[HEADER])
            for number, said in enumerate(together, 1 if count else 0):
                _give(said, Position(tail.offset + number, tail.epoch))
            await self._tidy(now)
            return

    def _stored(self, entry: Entry, together: list[Said]) -> None:
        """Give the positions of what turns out to be stored."""
        epoch = self._log.epoch_of(entry)
        for number, said in enumerate(together):
            _give(said, Position(entry.first + number if entry.count else entry.newest, epoch))

    def _found(self, entry: Entry | None, together: list[Said]) -> None:
        if entry is not None:
            self._stored(entry, together)
        elif self.tail is not None:  # it is kept no more, which is all that is left to say of it
            for said in together:
                _give(said, self.tail.position)

    async def _tidy(self, tail: Tail) -> None:
        """Remove what is kept no more, now and then."""
        self._stored_here += 1
        if self._stored_here == TIDIED_FROM:  # a script that says one thing does not judge what is kept
            oldest = await self._log.next(self.name, 1)
            if oldest is not None and self.marks.is_too_long(
                oldest.first - 1, oldest.total, tail.offset, tail.total
            ):
                entries = await self._log.sizes(self.name)
                self.marks.clear()
                for entry in entries:
                    self.marks.note(entry.sequence, entry.newest, entry.total, entry.time)
        before = self.marks.cut(tail.offset, tail.total)
        if before:
            await self._log.stream.purge(self._subject, min(before, tail.sequence))

    def _check_size(self, payloads: list[bytes]) -> None:
        most = self._link.max_payload - HEADER_BYTES
        if (size := sum(map(len, payloads))) > most:
            raise BrokerUnavailable(
                f"the publication has {size} bytes, and the NATS server takes {most}: raise max_payload there; "
                "nothing was published"
            )


def _give(said: Said, position: Position) -> None:
    if not said.done.done():
        said.done.set_result(position)


def _fail(said: Said, error: BrokerUnavailable) -> None:
    if not said.done.done():
        said.done.set_exception(error)
