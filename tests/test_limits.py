"""Limits: their numbers, from code and from the environment, and what they count."""

from __future__ import annotations

import pytest

from roomcast import ConfigurationError, Limits
from roomcast.limits import MAX_ADDRESSES, NUMBERS, Admissions, Reason, address_of, counts


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_there_may_be_so_many_connections_in_all() -> None:
    admissions = Admissions(Limits(max_connections=2))
    before = counts[Reason.CONNECTIONS]
    assert admissions.enter("a") is None
    assert admissions.enter(None) is None
    denial = admissions.enter("b")
    assert denial is not None
    assert denial.status == 503
    assert denial.retry_after > 0
    assert counts[Reason.CONNECTIONS] == before + 1
    admissions.leave(None)
    assert admissions.enter("b") is None
    assert admissions.connections == 2


def test_there_may_be_so_many_from_an_address_whoever_else_comes() -> None:
    admissions = Admissions(Limits(max_connections_per_address=2))
    before = counts[Reason.CONNECTIONS_PER_ADDRESS]
    assert [admissions.enter(address) is None for address in "aaabb"] == [True, True, False, True, True]
    assert counts[Reason.CONNECTIONS_PER_ADDRESS] == before + 1
    admissions.leave("a")
    assert admissions.enter("a") is None
    for address in "aabb":
        admissions.leave(address)
    assert not admissions._addresses, "what is not there takes no memory"


def test_who_is_refused_is_not_counted_as_there() -> None:
    admissions = Admissions(Limits(max_connections=1))
    admissions.enter("a")
    for _ in range(3):
        assert admissions.enter("a") is not None
    admissions.leave("a")
    assert admissions.enter("a") is None


def test_an_address_may_come_so_fast() -> None:
    clock = Clock()
    admissions = Admissions(Limits(handshakes_per_second=10, max_connections_per_address=None), clock)
    before = counts[Reason.HANDSHAKE_RATE]
    assert [admissions.enter("a") is None for _ in range(50)] == [True] * 40 + [False] * 10
    assert counts[Reason.HANDSHAKE_RATE] == before + 10
    assert admissions.enter("b") is None
    denial = admissions.enter("a")
    assert denial is not None
    assert (denial.status, denial.retry_after) == (429, 1)
    clock.now += 0.5
    assert [admissions.enter("a") is None for _ in range(6)] == [True] * 5 + [False]
    clock.now += 100
    assert [admissions.enter("a") is None for _ in range(41)] == [True] * 40 + [False]


def test_who_was_ended_for_what_it_did_may_not_come_again_at_once() -> None:
    clock = Clock()
    admissions = Admissions(Limits(handshakes_per_second=10), clock)
    tries = 0
    while admissions.enter("a") is None:
        admissions.leave("a")
        admissions.charge("a")
        tries += 1
    assert tries == 2
    assert admissions.enter("b") is None
    clock.now += 0.5
    assert admissions.enter("a") is None
    admissions.charge(None)
    Admissions(Limits.none()).charge("a")


def test_a_connection_that_is_ended_late_costs_as_much() -> None:
    clock = Clock()
    admissions = Admissions(Limits(handshakes_per_second=10), clock)
    assert [admissions.enter("a") for _ in range(3)] == [None] * 3
    clock.now += 60
    assert admissions.enter("b") is None  # which forgets those who have been quiet
    for _ in range(3):
        admissions.charge("a")
    assert admissions.enter("a") is not None


def test_many_that_are_ended_at_once_do_not_lock_out_their_address_for_long() -> None:
    clock = Clock()
    admissions = Admissions(Limits(handshakes_per_second=10), clock)
    for _ in range(200):
        admissions.enter("a")
        admissions.charge("a")
    denial = admissions.enter("a")
    assert denial is not None
    assert denial.retry_after <= 20
    clock.now += denial.retry_after
    assert admissions.enter("a") is None


def test_less_than_one_connection_in_a_second_is_a_rate_too() -> None:
    clock = Clock()
    admissions = Admissions(Limits(handshakes_per_second=0.1), clock)
    assert admissions.enter("a") is None
    denial = admissions.enter("a")
    assert denial is not None
    assert denial.retry_after == 10
    clock.now += 10
    assert admissions.enter("a") is None


def test_a_flood_of_addresses_fills_no_memory() -> None:
    clock = Clock()
    admissions = Admissions(Limits(max_connections=None), clock)
    for number in range(MAX_ADDRESSES + 1000):
        admissions.enter(str(number))
        admissions.leave(str(number))
    assert len(admissions._arrivals) == MAX_ADDRESSES
    assert not admissions._addresses
    clock.now += 1
    admissions.enter("last")
    assert len(admissions._arrivals) == 1


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("192.0.2.1", 1234), "192.0.2.1"),
        (["192.0.2.1", 1234], "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.1", 1), "192.0.2.1"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("unknown", 0), "unknown"),
        (("x:" * 1000, 0), "x:" * 32),
        (None, None),
        (("", 0), None),
        ((), None),
    ],
)
def test_one_address_is_what_one_client_has(client: object, address: str | None) -> None:
    assert address_of(client) == address


def test_every_limit_can_be_set_and_switched_off_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Limits.from_environment() == Limits()
    for name in NUMBERS:
        monkeypatch.setenv(f"ROOMCAST_{name.upper()}", "7")
    assert [getattr(Limits.from_environment(), name) for name in NUMBERS] == [7] * len(NUMBERS)
    for name in NUMBERS:
        monkeypatch.setenv(f"ROOMCAST_{name.upper()}", "off")
    assert Limits.from_environment() == Limits.none()


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan", "inf"])
def test_a_bad_value_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"ROOMCAST_{name.upper()}", text)
    with pytest.raises(ConfigurationError, match=rf"ROOMCAST_{name.upper()} is '{text}'.*over 0, or off"):
        Limits.from_environment()
    with pytest.raises(ConfigurationError, match=f"{name} is 0"):
        Limits(**{name: 0})  # type: ignore[arg-type]
