"""Which of the two runs: the modules as C, or the same modules as Python."""

from __future__ import annotations

import os

import pytest

from roomcast.protocol import compiled, connection, sending
from roomcast.server import outbox, session


def test_it_runs_as_it_was_installed() -> None:
    interpreted = os.environ.get("ROOMCAST_PURE") == "1"
    if not interpreted and not compiled() and os.environ.get("CI") != "true":
        pytest.skip("there was no compiler to install with")
    assert compiled() is not interpreted


def test_all_of_the_hot_path_is_compiled_or_none_of_it() -> None:
    ends = {str(module.__file__).endswith(".py") for module in (connection, sending, outbox, session)}
    assert ends == {not compiled()}
