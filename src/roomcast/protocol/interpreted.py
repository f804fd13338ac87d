"""What `cython` is while this code runs interpreted.

A module whose code takes one way compiled and another interpreted asks `cython.compiled`. Cython replaces
that with a constant when it compiles; everywhere else it is this False, and Cython need not be installed.
"""

from __future__ import annotations

compiled: bool = False
