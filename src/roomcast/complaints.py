"""Complaints: a warning that comes up often, logged once in a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

ONCE_IN = 60.0
"""How many seconds are between two complaints of one kind."""


class Complaints:
    """Logs the first of a kind at once, counts those that come soon after, and tells their number with the next.

    Args:
        logger: where to.
        seconds: how long it is silent after each.
    """

    def __init__(self, logger: logging.Logger, seconds: float = ONCE_IN) -> None:
        self._logger = logger
        self._seconds = seconds
        self._told: float | None = None
        self.untold = 0
        """How many have come since the last one that was logged."""

    def tell(self, message: str, *args: object) -> None:
        """Log a warning, unless one was logged just now."""
        now = time.monotonic()
        if self._told is not None and now - self._told < self._seconds:
            self.untold += 1
            return
        more = f" (and {self.untold} more since the last such line)" if self.untold else ""
        self._told = now
        self.untold = 0
        self._logger.warning(f"{message}%s", *args, more)
