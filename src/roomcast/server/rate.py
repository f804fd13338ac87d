"""Rate: how many messages and bytes a second a connection may send, as a token bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BURST_SECONDS = 4.0
"""A full bucket holds what so many seconds allow."""
GRACE_SECONDS = 1.0
"""Who was warned may go on with what so many seconds allow."""
FIRST_SECONDS = 1.0
"""Who is new may send as many messages at once as so many seconds allow, and one at the least."""

WITHIN = 0
"""All is well."""
WARN = 1
"""The bucket is empty for the first time."""
OVER = 2
"""The bucket is empty again, after a warning."""

_NO_LIMIT = 1e15


class Rate:
    """The bucket of one connection.

    The clock is asked only where the bucket is empty, which it seldom is: to count a message is a subtraction. So
    after a pause, a connection may send two buckets full at once. A new one has not been quiet yet, and begins
    with a quarter of the messages: else who is ended for a flood could flood again at once. An empty bucket is a
    warning first, unless more messages than a full one holds have come along with what emptied it: who sends like
    that reads no warnings. A warning is forgotten where a full bucket has lasted for as long as it takes to fill
    it.

    Args:
        messages_per_second: how many messages come in; None for any number.
        bytes_per_second: how many bytes come in, as they are on the wire, or inflated where that is more; None for
            any number.
        clock: returns seconds that never go back.
    """

    __slots__ = (
        "_bytes",
        "_bytes_a_second",
        "_clock",
        "_filled_at",
        "_is_warned",
        "_messages",
        "_messages_a_second",
    )

    def __init__(
        self,
        messages_per_second: float | None,
        bytes_per_second: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._messages_a_second = _NO_LIMIT if messages_per_second is None else messages_per_second
        self._bytes_a_second = _NO_LIMIT if bytes_per_second is None else bytes_per_second
        self._messages = max(1.0, self._messages_a_second * FIRST_SECONDS)
        self._bytes = self._bytes_a_second * BURST_SECONDS
        self._clock = clock
        self._filled_at = clock()
        self._is_warned = False

    def take(self, messages: int, size: int) -> int:
        """Count what has come, and say whether that is `WITHIN` the rate, is to `WARN` about, or is `OVER` it.

        Args:
            messages: how many messages have come to their end.
            size: how many bytes have come.
        """
        self._messages -= messages
        self._bytes -= size
        if self._messages >= 0 and self._bytes >= 0:
            return WITHIN
        return self._refill()

    def _refill(self) -> int:
        now = self._clock()
        elapsed = now - self._filled_at
        self._filled_at = now
        self._messages = min(
            self._messages + elapsed * self._messages_a_second, self._messages_a_second * BURST_SECONDS
        )
        self._bytes = min(self._bytes + elapsed * self._bytes_a_second, self._bytes_a_second * BURST_SECONDS)
        if elapsed >= BURST_SECONDS:
            self._is_warned = False
        if self._messages >= 0 and self._bytes >= 0:
            return WITHIN
        if self._is_warned or self._messages < -self._messages_a_second * BURST_SECONDS:
            return OVER
        self._is_warned = True
        self._messages = max(self._messages, self._messages_a_second * GRACE_SECONDS)
        self._bytes = max(self._bytes, self._bytes_a_second * GRACE_SECONDS)
        return WARN
