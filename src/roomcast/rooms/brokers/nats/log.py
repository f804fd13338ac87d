"""Log: the stream that has every room's publications, what is known of it, and how it is read."""

from __future__ import annotations

import math
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from roomcast.rooms.brokers.history import History
from roomcast.rooms.brokers.nats.entry import HEADER, Entry
from roomcast.rooms.brokers.nats.epochs import DAY, Epochs, Loss
from roomcast.rooms.brokers.nats.failures import Refused
from roomcast.rooms.brokers.nats.stream import EXPECTED
from roomcast.rooms.publication import Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.rooms.brokers.nats.stream import Stream
    from roomcast.rooms.brokers.nats.streams import Found
    from roomcast.rooms.brokers.nats.subjects import Subjects
    from roomcast.rooms.retention import Retention

WALK = 6
"""How many entries are looked up one by one, from the newest back; more are read through a reader."""


class Tail(NamedTuple):
    """The end of a room, as a node knows it.

    Attributes:
        sequence: the number of its newest entry in the stream, 0 for none.
        epoch: the epoch that a next entry has.
        offset: the newest offset.
        total: how many bytes of payloads with an offset it has had.
    """

    sequence: int
    epoch: str
    offset: int
    total: int

    @property
    def position(self) -> Position:
        """The newest position."""
        return Position(self.offset, self.epoch)


class Log:
    """Reads rooms, and notices where the stream lost what it had.

    Args:
        stream: the stream.
        subjects: what the rooms are called there.
        lost: is called when another node has noticed a loss.
    """

    def __init__(self, stream: Stream, subjects: Subjects, lost: Callable[[], None]) -> None:
        self.stream = stream
        self._subjects = subjects
        self._tell_lost = lost
        self._epochs = Epochs()
        self._witness: tuple[int, str] = (0, "")
        """The newest message that this node has seen, to find it again after a lost connection."""

    async def settle(self, found: Found) -> bool:
        """Take over the stream as it is on a new connection, and note it there where something was lost.

        So it is in a stream that is new: another node may think that it is the one before.

        Returns:
            Whether all that is known of rooms still holds.
        """
        before = self._epochs.loss
        noted = await self._noted_loss()
        same = self._epochs.begin(found.created, noted, found.age)
        (sequence, said), self._witness = self._witness, (0, "")
        # Asked only now: what came on this connection already may be newer than what was found when it began.
        last_sequence = (await self.stream.api("STREAM.INFO"))["state"]["last_seq"]
        if not last_sequence or (same and sequence and await self._is_lost(sequence, said, last_sequence)):
            expected = {EXPECTED: str(noted.sequence if noted else 0)}
            with suppress(Refused):  # another node was first
                await self.stream.put(self._subjects.loss, secrets.token_hex(6).encode(), expected)
            self._epochs.begin(found.created, await self._noted_loss(), found.age)
        return same and before == self._epochs.loss

    async def look_for_loss(self) -> None:
        """Take over what another node has noted."""
        info = await self.stream.api("STREAM.INFO")
        age = info["config"]["max_age"] / 1e9 or math.inf
        before = self._epochs.loss
        same = self._epochs.begin(info["created"], await self._noted_loss(), age)
        if not same or before != self._epochs.loss:
            self._witness = (0, "")
            self._tell_lost()

    def witness(self, sequence: int, said: str) -> None:
        """Remember what was seen: the number of an entry, and its header."""
        if sequence > self._witness[0]:
            self._witness = (sequence, said)

    def epoch_of(self, entry: Entry) -> str:
        """Give the epoch in which an entry counts."""
        return self._epochs.of(entry.epoch, entry.sequence)

    def tail_after(self, entry: Entry | None) -> Tail:
        """Give the end of a room whose newest entry this is; None for none."""
        if entry is None:
            return Tail(0, self._epochs.of_empty(), 0, 0)
        return Tail(entry.sequence, self.epoch_of(entry), entry.newest, entry.total)

    async def newest(self, room: str) -> Entry | None:
        """Give a room's newest entry."""
        kept = await self.stream.last(self._subjects.log(room))
        return None if kept is None else Entry.of(kept)

    async def next(self, room: str, sequence: int) -> Entry | None:
        """Give a room's first entry with that number in the stream, or a higher one."""
        kept = await self.stream.next(self._subjects.log(room), sequence)
        return None if kept is None else Entry.of(kept)

    async def entry(self, sequence: int) -> Entry | None:
        """Give the entry with that number in the stream."""
        kept = await self.stream.at(sequence)
        return None if kept is None else Entry.of(kept)

    async def sizes(self, room: str) -> list[Entry]:
        """Give a room's entries without what they carry."""
        return [Entry.of(kept) for kept in await self.stream.read(self._subjects.log(room), headers_only=True)]

    async def history(
        self,
        room: str,
        retention: Retention,
        since: Position | None,
        limit: int | None,
        start: Callable[[int], int],
        *,
        reverse: bool,
    ) -> History:
        """Read what is kept of a room: see `Broker.history`.

        Args:
            room: the room.
            retention: what it keeps.
            since: after which position; all that is kept if None.
            limit: how many at the most.
            start: gives the number of a message in the stream up to which all offsets are at most that one.
            reverse: the newest first.
        """
        last = await self.newest(room)
        tail = self.tail_after(last)
        if since is not None and not since.offset and self._epochs.is_of_empty(since.epoch):
            since = Position(0, tail.epoch)  # the room was empty, and all that came since is stored still
        same = since is not None and since.epoch == tail.epoch
        kept: list[tuple[Position, bytes]] = []
        if last is not None:
            lower = max(tail.offset - retention.size, since.offset if same and since is not None else 0)
            if limit is not None and (reverse or not limit):
                lower = max(lower, tail.offset - limit - 1)
            entries = await self._entries(room, last, lower, start)
            kept = _within(entries, tail, lower, retention)
        complete = since is None
        if same and since is not None:
            oldest = kept[0][0].offset if kept else tail.offset + 1
            complete = oldest - 1 <= since.offset <= tail.offset
        if reverse:
            kept.reverse()
        return History(kept[:limit], tail.position, complete and (limit is None or len(kept) <= limit))

    async def _entries(self, room: str, last: Entry, lower: int, start: Callable[[int], int]) -> list[Entry]:
        """Read the entries that have the offsets above `lower`, the oldest first."""
        entries = [last]
        while entries[0].first - 1 > lower and entries[0].before:
            if len(entries) >= WALK or entries[0].first - 1 - lower > WALK * len(entries):
                subject, since = self._subjects.log(room), start(lower) + 1
                return [Entry.of(kept) for kept in await self.stream.read(subject, since, upto=last.sequence)]
            before = await self.entry(entries[0].before)
            if before is None:
                break
            entries.insert(0, before)
        return entries

    async def _noted_loss(self) -> Loss | None:
        kept = await self.stream.last(self._subjects.loss)
        return None if kept is None else Loss(kept.sequence, kept.data.decode(), int(kept.time // DAY))

    async def _is_lost(self, sequence: int, said: str, last_sequence: int) -> bool:
        if last_sequence < sequence:
            return True
        found = await self.stream.at(sequence)
        return found is not None and found.headers.get(HEADER) != said


def _within(entries: list[Entry], tail: Tail, lower: int, retention: Retention) -> list[tuple[Position, bytes]]:
    """Give the publications above `lower` that are within the retention, up to the first gap from the end."""
    kept: list[tuple[Position, bytes]] = []
    oldest = time.time() - retention.age
    expected, size = tail.offset, 0
    for entry in reversed(entries):
        if not entry.count:
            continue
        if entry.newest != expected or entry.time <= oldest:
            break
        for payload in reversed(entry.payloads):
            size += len(payload)
            if expected <= lower or size > retention.bytes or tail.offset - expected >= retention.size:
                break
            kept.append((Position(expected, tail.epoch), payload))
            expected -= 1
        else:
            continue
        break
    kept.reverse()
    return kept
