"""File descriptors: how many this process may have."""

from __future__ import annotations

import sys

from roomcast.errors import ConfigurationError

SPARE = 64
"""How many a program needs beside its connections."""


def allow_connections(count: int) -> None:
    """Raise this process's own limit, as far as it may, so that it can have so many connections.

    Raises:
        ConfigurationError: it may not.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  # there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + SPARE
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigurationError(
            f"{count:,} connections need {needed:,} file descriptors, and this process may have {hard:,}: ask for "
            f"fewer, or allow more (ulimit -n {needed}, as root; roomcast doctor says where)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
