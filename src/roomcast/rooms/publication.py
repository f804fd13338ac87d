"""Publication and Position: what is said in a room, and where in the room's order it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order of a room's publications.

    Attributes:
        offset: how many publications the room has had so far; the first has offset 1.
        epoch: which life of the room's order the offset counts in. Where the epoch differs, the broker has lost
            or dropped something of the room in between.
    """

    offset: int
    epoch: str

    def __str__(self) -> str:
        """Write it as `OFFSET.EPOCH`, for a URL or a message."""
        return f"{self.offset}.{self.epoch}"

    @property
    def numbering(self) -> str:
        """What the epochs have in common over which a room's offsets count on: what is before a "-" in them.

        Offsets of one numbering can be compared: none comes twice, also where something between them was lost.
        """
        return self.epoch.partition("-")[0]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote.

        Raises:
            ValueError: if it is no position.
        """
        offset, separator, epoch = text.partition(".")
        if not (separator and epoch and offset.isascii() and offset.isdigit() and len(offset) <= 19):
            raise ValueError(f"a position is OFFSET.EPOCH, such as 12.5eb1a6fd, and not {text[:40]!r}")
        return cls(int(offset), epoch)


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to a room.

    Attributes:
        room: the room's name.
        data: `str` for a text message, `bytes` for a binary one.
        time: when it was published, in seconds since the Unix epoch, by the publisher's clock.
        position: its place in the room's order; None for one that is not kept.
        exclude: the id of the member that does not get it, if any.
    """

    room: str
    data: str | bytes
    time: float
    position: Position | None = None
    exclude: str | None = None
