"""How the Autobahn test suite's words are judged."""

from __future__ import annotations

import pytest

from tests.conformance.suite import Case, Run


@pytest.mark.parametrize(
    ("name", "behavior", "closing", "outcome", "passed"),
    [
        ("1.1.1", "OK", "OK", "OK", True),
        ("6.4.1", "NON-STRICT", "OK", "NON-STRICT", False),
        ("7.1.5", "OK", "WRONG CODE", "FAILED", False),
        ("7.1.5", "OK", "UNCLEAN", "FAILED", False),
        ("7.1.5", "FAILED", "OK", "FAILED", False),
        ("12.1.1", "UNIMPLEMENTED", "OK", "UNIMPLEMENTED", False),
        ("7.1.6", "INFORMATIONAL", "INFORMATIONAL", "INFORMATIONAL", True),
        ("7.1.6", "INFORMATIONAL", "UNCLEAN", "FAILED", False),
        ("1.1.1", "INFORMATIONAL", "INFORMATIONAL", "INFORMATIONAL", False),
    ],
)
def test_a_case_passes_only_where_both_words_are_good(
    name: str, behavior: str, closing: str, outcome: str, passed: bool
) -> None:
    case = Case(name, behavior, closing, 0.0)
    assert (case.outcome, case.passed) == (outcome, passed)


def test_a_run_names_what_keeps_it_from_being_a_success() -> None:
    run = Run("asyncio", (10, 3))
    run.cases = [Case("10.1.1", "OK", "OK", 0.0), Case("3.1", "NON-STRICT", "OK", 0.0)]
    run.complaints = ["ERROR: something"]
    assert run.problems == ["3.1: NON-STRICT, OK", "group 3: 1 of 7 cases ran", "ERROR: something"]
