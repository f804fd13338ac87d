"""Plan: the load that a benchmark puts on a server, and when each message of it is due."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, field

BEAT = 500_000
"""The least nanoseconds between two sends: more messages than that are due several at once."""
LEAST_SIZE = 32
"""The fewest characters in a message: its number, and by what it is known, must fit."""
_DIGITS = 12
_WORDS = [
    "room",
    "member",
    "offset",
    "epoch",
    "publish",
    "presence",
    "history",
    "resume",
    "message",
    "online",
    "hello",
    "again",
    "later",
    "today",
]


@dataclass(frozen=True)
class Plan:
    """What is to be sent.

    Messages are due at fixed times, whatever the server does, as from people who do not know of each other. A
    latency is counted from the time when its message was due, and so contains what it waited here.

    Attributes:
        connections: how many there are.
        rate: messages a second, from all connections together.
        size: characters in a message.
        seconds: for how long.
        deflate: whether permessage-deflate is offered.
        room: whether all are in one room, and each message is for all of them; else each is echoed.
        marker: by what a message of this run is known.
    """

    connections: int = 50
    rate: float = 1000.0
    size: int = 128
    seconds: float = 10.0
    deflate: bool = False
    room: bool = False
    marker: str = field(default_factory=lambda: f"<{secrets.token_hex(4)}:")

    @property
    def messages(self) -> int:
        """How many messages are sent in all."""
        return max(1, round(self.rate * self.seconds))

    @property
    def burst(self) -> int:
        """How many messages are due at the same time."""
        return max(1, round(self.rate * BEAT / 1e9))

    def due(self, number: int) -> int:
        """Say when a message is due, in nanoseconds since the start."""
        burst = self.burst
        return round(number // burst * burst * 1e9 / self.rate)

    def message(self, number: int) -> str:
        """Write a message: its number, and words to its size, which deflate as words do."""
        head = f"{self.marker}{number:0{_DIGITS}}> "
        return head + _padding(number, self.size - len(head))

    def number(self, text: str) -> int | None:
        """Read the number of a message of this run from what came back; None where it is none."""
        at = text.find(self.marker)
        if at < 0:
            return None
        digits = text[at + len(self.marker) : at + len(self.marker) + _DIGITS]
        return int(digits) if digits.isdigit() else None


def _padding(number: int, size: int) -> str:
    """Give words: other ones in each message, and the same of each run."""
    words = _PADDING if size <= _SLICE else _PADDING * (size // _SLICE + 1)
    start = number * 31 % (len(_PADDING) - _SLICE)
    return words[start : start + max(size, 0)]


_SLICE = 4096
_PADDING = " ".join(random.Random(6455).choices(_WORDS, k=2000))  # noqa: S311 - words, and no secrets
