"""What the Autobahn test suite found, as a table."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.conformance.suite import GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conformance.suite import Run

OUTCOMES = ("OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED")


def table(runs: Sequence[Run]) -> str:
    """Tell the results of runs against one server: a line a group, then what is not as it should be."""
    cases = [case for run in runs for case in run.cases]
    lines = [
        "group                          " + "".join(f"{outcome:>15}" for outcome in OUTCOMES) + "        seconds"
    ]
    for group in sorted(group for run in runs for group in run.groups):
        mine = [case for case in cases if case.group == group]
        counts = Counter(case.outcome for case in mine)
        cells = "".join(f"{counts[outcome] or '-':>15}" for outcome in OUTCOMES)
        lines.append(f"{group:>2} {GROUPS[group][0]:28}{cells}{sum(case.seconds for case in mine):15.1f}")
    lines += [f"  {problem}" for run in runs for problem in run.problems]
    return "\n".join(lines)
