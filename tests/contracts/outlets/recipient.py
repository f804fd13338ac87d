"""For whom messages are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.protocol.prepared import PreparedMessage

if TYPE_CHECKING:
    from roomcast.backlog import SlowPolicy
    from roomcast.rooms import Outlet


class Counting:
    """A recipient that counts what is dropped.

    Attributes:
        drops: how many messages were taken, and dropped after all.
        offered: how many were offered.
        taken: which of those were taken, by their numbers.
    """

    def __init__(self, policy: SlowPolicy) -> None:
        self.policy = policy
        self.drops = 0
        self.offered = 0
        self.taken: list[int] = []

    def drop(self) -> None:
        self.drops += 1

    def offer(self, outlet: Outlet, count: int = 1, size: int = 10_000) -> None:
        """Offer messages of `size` bytes, numbered through."""
        for _ in range(count):
            if outlet.offer(PreparedMessage(f"{self.offered} ".ljust(size, "x")), self):
                self.taken.append(self.offered)
            self.offered += 1


def number_of(message: str | bytes) -> int:
    """Give the number of a message that was offered so."""
    assert isinstance(message, str)
    return int(message.split()[0])
