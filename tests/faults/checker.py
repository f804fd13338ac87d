"""Checker: holds what was acknowledged against what every member saw."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from roomcast import Position

MOST_PROBLEMS = 20
"""How many problems are told: one fault can make thousands."""


class Acknowledged(NamedTuple):
    """A publication whose `publish` returned.

    Attributes:
        room: where.
        data: what, unlike any other.
        position: what `publish` returned.
    """

    room: str
    data: str
    position: Position


class Seen(NamedTuple):
    """What a member got."""

    position: Position
    data: str


@dataclass
class Chapter:
    """What a member saw without being told that something may be missing, over any number of connections.

    Attributes:
        start: the room's position when it began: all that came after it is expected.
        seen: what came, in the order in which it came.
    """

    start: Position
    seen: list[Seen] = field(default_factory=list)

    @property
    def newest(self) -> Position:
        """The position up to which the member knows the room."""
        return self.seen[-1].position if self.seen else self.start


@dataclass
class Account:
    """All that one member saw.

    Attributes:
        member: its name.
        room: its room.
        chapters: one, and one more for each time that it was told that something may be missing.
    """

    member: str
    room: str
    chapters: list[Chapter] = field(default_factory=list)


def problems(acknowledged: list[Acknowledged], accounts: list[Account], *, lossless: bool = True) -> list[str]:
    """Say what is wrong: nothing, where every member saw all, once and in order.

    Args:
        acknowledged: what was published.
        accounts: what the members saw, who all stayed or came back until all was published.
        lossless: whether nobody may be told that something is missing. Else the broker may lose publications, but
            every member that misses one has to be told so.
    """
    found = [*_disagreements(acknowledged, accounts, lossless=lossless)]
    for account in accounts:
        found += _problems_of(account, [ack for ack in acknowledged if ack.room == account.room])
        if lossless and len(account.chapters) > 1:
            told = len(account.chapters) - 1
            found.append(f"{account.member} was told {told} times that something may be missing")
    return found[:MOST_PROBLEMS]


def _disagreements(acknowledged: list[Acknowledged], accounts: list[Account], *, lossless: bool) -> list[str]:
    """Find positions with two publications, and publications with two positions."""
    at: dict[tuple[str, Position], set[str]] = defaultdict(set)
    of: dict[tuple[str, str], set[Position]] = defaultdict(set)
    everything = [(ack.room, ack.position, ack.data) for ack in acknowledged] + [
        (account.room, seen.position, seen.data)
        for account in accounts
        for chapter in account.chapters
        for seen in chapter.seen
    ]
    for room, position, data in everything:
        at[room, position].add(data)
        of[room, data].add(position)
    found = [
        f"{position} of {room} has several publications: {sorted(data)}"
        for (room, position), data in at.items()
        if len(data) > 1
    ]
    if lossless:  # else its key can be lost like any publication
        found += [
            f"{data} of {room} was published several times: {sorted(map(str, positions))}"
            for (room, data), positions in of.items()
            if len(positions) > 1
        ]
    return found


def _problems_of(account: Account, acknowledged: list[Acknowledged]) -> list[str]:
    name = account.member
    if not account.chapters:
        return [f"{name} never came in"]
    found: list[str] = []
    for chapter in account.chapters:
        found += [f"{name} {problem}" for problem in _disorder(chapter)]
        newest = chapter.newest if chapter is not account.chapters[-1] else None
        seen = {entry.data for entry in chapter.seen}
        found += [
            f"{name} missed {ack.data} at {ack.position}"
            for ack in acknowledged
            if ack.position.numbering == chapter.start.numbering
            and ack.position.offset > chapter.start.offset
            and (newest is None or ack.position.offset < newest.offset)
            and ack.data not in seen
        ]
    known = {chapter.start.numbering for chapter in account.chapters}
    found += [
        f"{name} missed {ack.data} at {ack.position}, and was not told"
        for ack in acknowledged
        if ack.position.numbering not in known
    ]
    return found


def _disorder(chapter: Chapter) -> list[str]:
    """Find what came twice, out of order, or after a gap: offsets are consecutive."""
    found = []
    newest: Position | None = None
    seen: set[Position] = set()
    for position, data in chapter.seen:
        if position in seen:
            found.append(f"got {data} at {position} again")
        elif newest is None:
            if position.numbering == chapter.start.numbering and position.offset > chapter.start.offset + 1:
                found.append(f"knew {chapter.start}, and first got {data} at {position}")
        elif position.numbering != newest.numbering:
            found.append(f"got {data} at {position} after {newest}, and was not told")
        elif position.offset < newest.offset:
            found.append(f"got {data} at {position} after {newest}: out of order")
        elif position.offset > newest.offset + 1:
            found.append(f"got {data} at {position} after {newest}: a gap")
        seen.add(position)
        newest = position
    return found
