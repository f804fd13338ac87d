from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from roomcast.complaints import Complaints

if TYPE_CHECKING:
    import pytest


def test_the_first_is_logged_and_those_that_come_soon_after_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(logging.getLogger("roomcast.test"))
    for number in range(5):
        complaints.tell("number %d is 100%%", number)
    assert [record.getMessage() for record in caplog.records] == ["number 0 is 100%"]
    assert complaints.untold == 4


def test_the_next_one_tells_how_many_there_were(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(logging.getLogger("roomcast.test"), seconds=0)
    complaints.tell("one")
    complaints.untold = 3
    complaints.tell("two")
    assert [record.getMessage() for record in caplog.records] == [
        "one",
        "two (and 3 more since the last such line)",
    ]
