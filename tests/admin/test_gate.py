"""Who is let onto the operator's page, and how often a token can be guessed."""

from __future__ import annotations

import pytest

from roomcast import ConfigurationError
from roomcast.admin import gate
from roomcast.admin.gate import FORGET_SECONDS, MOST_FAILURES, Gate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_token_opens_and_no_other(clock: Clock) -> None:
    gate = Gate("tökén", clock)
    assert gate.opens("a", "tökén")
    for wrong in ("", "tökén ", "token", "Tökén", "\ud800"):
        assert not gate.opens("a", wrong)
    assert gate.opens("a", "tökén")


def test_too_many_wrong_tokens_close_it_for_their_address_and_for_a_minute(clock: Clock) -> None:
    gate = Gate("token", clock)
    for _ in range(MOST_FAILURES):
        assert not gate.has_closed_for("a")
        assert not gate.opens("a", "wrong")
    assert gate.has_closed_for("a")
    assert not gate.opens("a", "token"), "the right one is not to be found by trying on"
    assert gate.opens("b", "token")
    clock.now += FORGET_SECONDS - 0.01
    assert not gate.opens("a", "token")
    clock.now += 0.01
    assert gate.opens("a", "token")


def test_the_right_token_forgives(clock: Clock) -> None:
    gate = Gate("token", clock)
    for _ in range(3):
        for _ in range(MOST_FAILURES - 1):
            gate.opens("a", "wrong")
        assert gate.opens("a", "token")


def test_it_remembers_no_more_addresses_than_it_may(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MOST_ADDRESSES", 3)
    guarded = Gate("token", clock)
    for address in "abcd":
        guarded.opens(address, "wrong")
    assert list(guarded._failures) == ["b", "c", "d"]


def test_a_page_without_a_token_cannot_be() -> None:
    with pytest.raises(ConfigurationError, match="needs a token"):
        Gate("")
