"""How often Python's garbage collector looks for cycles in a process that serves."""

from __future__ import annotations

import gc

YOUNG = 20_000
"""After how many new objects the youngest are looked at."""
MIDDLE = 4
"""After how many such looks those that outlived one are: ten milliseconds, in which all else stands still."""
OLD = 250
"""After how many of those all are, at the earliest."""


def settle() -> None:
    """Leave what the start has made alone, and look at the rest less often than Python does by itself.

    A server with ten thousand connections has a million objects that live for hours. Python looks at all of them
    whenever they have become a quarter more, and the event loop stands still meanwhile, for up to a second. What a
    connection leaves behind here has no cycles, so there is little to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
