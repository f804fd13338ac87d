"""Waiting: the sockets on which a request is awaited, for so long, and no more than so many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from roomcast.counts import Reason, counts
from roomcast.server.keepalive import Deadlines

if TYPE_CHECKING:
    from roomcast.server.keepalive import Timer

_FOREVER = 1e9


class Awaited(Protocol):
    """A socket on which a request is awaited."""

    def request_is_late(self) -> None:
        """Close it, and tell the client if it has begun one."""

    def make_room(self) -> None:
        """Close it: too many wait."""


class Waiting(Deadlines[Awaited]):
    """The sockets that wait. Where they are too many, the one goes that has waited longest.

    Who wants something says so at once. So a flood of connections that say nothing, or too little at a time,
    pushes out its own.

    Args:
        timer: what drives the deadlines.
        seconds: how long a request may take to come; None for any time.
        bound: how many may wait; None for any number.
    """

    def __init__(self, timer: Timer, seconds: float | None, bound: int | None) -> None:
        super().__init__(timer, _FOREVER if seconds is None else seconds, _is_late)
        self._bound = bound

    def add(self, thing: Awaited) -> None:
        """Let a socket wait from now on."""
        super().add(thing)
        if self._bound is not None and len(self._due) > self._bound:
            oldest = next(iter(self._due))
            self.discard(oldest)
            counts[Reason.WAITING] += 1
            oldest.make_room()


def _is_late(socket: Awaited) -> None:
    socket.request_is_late()
