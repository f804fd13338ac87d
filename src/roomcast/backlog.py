"""Backlog: what waits for a peer that does not keep up, and what happens at its bound."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from roomcast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

MESSAGE_BYTES = 128
"""What each waiting message counts besides its bytes: about what it takes in memory, so that a bound in bytes
bounds small and empty messages, too."""


class SlowPolicy(StrEnum):
    """What becomes of a room's message that comes while too much waits for a member already."""

    DISCONNECT = "disconnect"
    """The member is closed with 4020, so that it comes back and resumes. Nothing is lost in between."""
    DROP_OLDEST = "drop_oldest"
    """What has waited longest makes place for it."""
    DROP_NEWEST = "drop_newest"
    """The message itself is dropped."""
    LATEST = "latest"
    """Only the newest message of the room waits, and that whatever the bound: for state that replaces itself."""


def policy_of(name: SlowPolicy | str) -> SlowPolicy:
    """Give the policy of a name.

    Raises:
        ConfigurationError: it is none's.
    """
    try:
        return SlowPolicy(name)
    except ValueError:
        known = ", ".join(SlowPolicy)
        raise ConfigurationError(f"there is no policy {name!r} for slow members: there are {known}") from None


class Recipient(Protocol):
    """For whom a message is: one member of one room."""

    @property
    def policy(self) -> SlowPolicy:
        """What becomes of its messages when too much waits."""

    def drop(self) -> None:
        """Count a message that was taken, and is dropped after all."""


class _Waiting(Generic[T]):
    """One thing that waits. What is dropped stays in the queue as an empty shell, until the queue is tidied."""

    __slots__ = ("item", "recipient", "size")

    def __init__(self, item: T, size: int, recipient: Recipient | None) -> None:
        self.item: T | None = item
        self.size = size
        self.recipient = recipient


class Backlog(Generic[T]):
    """A queue in the order of the calls, with a bound in bytes for what is offered.

    Adding, taking and dropping each take the same short time however much waits.

    Attributes:
        size: how many bytes wait.
    """

    __slots__ = ("_droppable", "_dropped", "_latest", "_oldest", "_queue", "size")

    def __init__(self) -> None:
        self.size = 0
        self._queue: deque[_Waiting[T]] = deque()
        self._dropped = 0
        """How many shells the queue has."""
        self._oldest: deque[_Waiting[T]] = deque()
        """What may be dropped to make place, the oldest first."""
        self._droppable = 0
        """How many bytes that is."""
        self._latest: dict[int, _Waiting[T]] = {}
        """What waits for a recipient that wants the newest only, by the recipient's identity."""

    def __len__(self) -> int:
        """Count what waits."""
        return len(self._queue) - self._dropped

    def add(self, item: T, size: int) -> None:
        """Let an item wait, whatever waits already: for what must go out."""
        self._append(_Waiting(item, size, None))

    def offer(self, item: T, size: int, recipient: Recipient | None, bound: int, elsewhere: int = 0) -> bool:
        """Let an item wait if the bound, or the recipient's policy, allows it, and say whether it does.

        One that comes while nothing waits always fits: what is bigger than the bound is no sign of a slow peer. So
        does the newest for who wants that only: else the state that it last saw would stay.

        Args:
            item: what is to wait.
            size: how many bytes it counts.
            recipient: for whom it is; None is one with the policy `disconnect`.
            bound: how many bytes may wait.
            elsewhere: how many bytes wait for the same peer elsewhere.
        """
        policy = SlowPolicy.DISCONNECT if recipient is None else recipient.policy
        room = bound - elsewhere
        if policy is SlowPolicy.LATEST:
            earlier = self._latest.get(id(recipient))
            if earlier is not None:
                self._drop(earlier)
        elif self.size + size > room:
            # Nothing is dropped for one that does not fit even so.
            kept = self.size - (self._droppable if policy is SlowPolicy.DROP_OLDEST else 0)
            if kept + size > room and kept + elsewhere:
                return False
            if policy is SlowPolicy.DROP_OLDEST:
                while self._oldest and self.size + size > room:
                    self._drop(self._oldest[0])
        waiting = _Waiting(item, size, recipient)
        self._append(waiting)
        if policy is SlowPolicy.LATEST:
            self._latest[id(recipient)] = waiting
        elif policy is SlowPolicy.DROP_OLDEST:
            self._oldest.append(waiting)
            self._droppable += size
        return True

    def take(self) -> T:
        """Give what has waited longest.

        Raises:
            IndexError: nothing waits.
        """
        while True:
            waiting = self._queue.popleft()
            item = waiting.item
            if item is not None:
                break
            self._dropped -= 1
        self.size -= waiting.size
        self._forget(waiting)
        return item

    def take_up_to(self, size: int) -> Iterator[T]:
        """Give what has waited longest, one after the other, until it is `size` bytes or more, or all."""
        taken = 0
        while len(self) and taken < size:
            before = self.size
            yield self.take()
            taken += before - self.size

    def clear(self) -> None:
        """Drop all that waits, and have it counted."""
        dropped = [waiting.recipient for waiting in self._queue if waiting.item is not None]
        self.size = self._dropped = self._droppable = 0
        self._queue.clear()
        self._oldest.clear()
        self._latest.clear()
        for recipient in dropped:
            if recipient is not None:
                recipient.drop()

    def _append(self, waiting: _Waiting[T]) -> None:
        self._queue.append(waiting)
        self.size += waiting.size

    def _drop(self, waiting: _Waiting[T]) -> None:
        self._forget(waiting)
        self.size -= waiting.size
        waiting.item = None
        if waiting.recipient is not None:
            waiting.recipient.drop()
        self._dropped += 1
        if self._dropped * 2 > len(self._queue):
            self._queue = deque(kept for kept in self._queue if kept.item is not None)
            self._dropped = 0

    def _forget(self, waiting: _Waiting[T]) -> None:
        if self._oldest and self._oldest[0] is waiting:
            self._oldest.popleft()
            self._droppable -= waiting.size
        elif self._latest.get(id(waiting.recipient)) is waiting:
            del self._latest[id(waiting.recipient)]
