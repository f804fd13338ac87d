"""Check: one thing that was looked at, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a check found."""

    OK = "ok"
    """It is as it should be."""
    WARNING = "warning"
    """It works, and will not at some point, or costs more than it has to."""
    FAILED = "failed"
    """With this, what was asked for cannot work."""
    UNKNOWN = "unknown"
    """It cannot be found out here."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        verdict: what came of it.
        found: how it is.
        wanted: how it would be right, "" where it is.
        why: what goes wrong with it as it is, "" where nothing does.
        how: how to set it right, "" where there is nothing to set.
    """

    name: str
    verdict: Verdict
    found: str
    wanted: str = ""
    why: str = ""
    how: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON can carry it, without what is empty."""
        return {name: value for name, value in asdict(self).items() if value != ""}


def failed(checks: list[Check]) -> bool:
    """Whether anything cannot work."""
    return any(check.verdict is Verdict.FAILED for check in checks)
