"""Entry: what is stored of a room at once, which is one publication or several that came together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.nats.stream import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomcast.rooms.brokers.nats.stream import Kept

HEADER = "Roomcast"
"""`EPOCH FIRST COUNT TOTAL TOKEN`: the epoch, the offset of the first publication, how many have an offset, how
many bytes the room has had with them, and what tells this entry from every other one."""
SIZES = "Roomcast-Sizes"
"""How many bytes each payload has, where there are several in a message."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of a room's log.

    Attributes:
        sequence: its number in the stream.
        before: the number of the one before it in this room, 0 for none.
        time: when it was stored, in seconds since the Unix epoch, by the server's clock.
        epoch: the epoch that it was stored in.
        first: the offset of its first publication; the next one's where none of it has an offset.
        count: how many of its publications have an offset: all, or none.
        total: how many bytes of payloads with an offset the room has had, with these.
        token: what tells it from every other one.
        payloads: what they carry.
    """

    sequence: int
    before: int
    time: float
    epoch: str
    first: int
    count: int
    total: int
    token: str
    payloads: list[bytes]

    @property
    def newest(self) -> int:
        """The room's newest offset after it."""
        return self.first + self.count - 1

    @classmethod
    def of(cls, kept: Kept) -> Entry:
        """Read a message as it is stored."""
        return cls.read(kept.headers, kept.data, kept.sequence, kept.time)

    @classmethod
    def read(cls, headers: Mapping[str, str], data: bytes, sequence: int, time: float) -> Entry:
        """Read a message.

        Raises:
            BrokerUnavailable: it is none of Roomcast's.
        """
        if HEADER not in headers:
            raise BrokerUnavailable(
                f"message {sequence} of the log is none of Roomcast's, and its room cannot go on: remove it"
            )
        epoch, first, count, total, token = headers[HEADER].split(" ")
        before = int(headers.get(EXPECTED, 0))
        return cls(
            sequence, before, time, epoch, int(first), int(count), int(total), token, payloads_of(headers, data)
        )


def headers_of(payloads: Sequence[bytes]) -> dict[str, str]:
    """Give the headers that say where each payload ends, none for one alone."""
    return {} if len(payloads) == 1 else {SIZES: " ".join(str(len(payload)) for payload in payloads)}


def payloads_of(headers: Mapping[str, str], data: bytes) -> list[bytes]:
    """Take the payloads of a message apart."""
    sizes = headers.get(SIZES)
    if sizes is None:
        return [data]
    ends = accumulate(map(int, sizes.split(" ")), initial=0)
    return [data[start:end] for start, end in pairwise(ends)]
