"""What waits for a slow peer: the policies, the bound, the order, and what it costs where much is dropped."""

from __future__ import annotations

import sys
from collections import Counter
from time import process_time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from roomcast.backlog import Backlog, SlowPolicy, policy_of
from roomcast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


class Counting:
    """A recipient that counts what it loses."""

    def __init__(self, policy: SlowPolicy) -> None:
        self.policy = policy
        self.dropped = 0

    def drop(self) -> None:
        self.dropped += 1


def filled(recipient: Counting | None, *, items: str = "abc", bound: int = 30) -> Backlog[str]:
    """Offer items of ten bytes each."""
    backlog: Backlog[str] = Backlog()
    for item in items:
        assert backlog.offer(item, 10, recipient, bound)
    return backlog


def taken(backlog: Backlog[str]) -> str:
    return "".join(backlog.take() for _ in range(len(backlog)))


@pytest.mark.parametrize("policy", SlowPolicy)
def test_a_policy_has_a_name(policy: SlowPolicy) -> None:
    assert policy_of(policy) is policy_of(str(policy)) is policy


def test_a_name_that_is_no_policys_is_an_error_that_names_them() -> None:
    with pytest.raises(ConfigurationError, match=r"'backoff'.* disconnect, drop_oldest, drop_newest, latest"):
        policy_of("backoff")


@pytest.mark.parametrize(
    "recipient", [None, Counting(SlowPolicy.DISCONNECT), Counting(SlowPolicy.DROP_NEWEST)], ids=["none", "d", "n"]
)
def test_what_does_not_fit_is_not_taken_and_nothing_is_dropped_for_it(recipient: Counting | None) -> None:
    backlog = filled(recipient)
    assert not backlog.offer("d", 1, recipient, 30)
    assert (backlog.size, len(backlog)) == (30, 3)
    assert taken(backlog) == "abc"
    assert recipient is None or recipient.dropped == 0


def test_the_oldest_make_place_and_are_counted_by_their_own_recipients() -> None:
    first, second = Counting(SlowPolicy.DROP_OLDEST), Counting(SlowPolicy.DROP_OLDEST)
    backlog = filled(first)
    assert backlog.offer("d", 15, second, 30)
    assert (first.dropped, second.dropped) == (2, 0)
    assert backlog.size == 25
    assert taken(backlog) == "cd"


def test_only_what_may_be_dropped_makes_place() -> None:
    newest, oldest = Counting(SlowPolicy.DROP_NEWEST), Counting(SlowPolicy.DROP_OLDEST)
    backlog = filled(newest, items="a")
    backlog.add("b", 10)
    assert backlog.offer("c", 10, oldest, 30)
    assert backlog.offer("d", 10, oldest, 30)
    assert (newest.dropped, oldest.dropped) == (0, 1)
    assert taken(backlog) == "abd"


@pytest.mark.parametrize(("size", "elsewhere"), [(21, 0), (10, 15), (1, 30)])
def test_nothing_is_dropped_for_what_would_not_fit_even_so(size: int, elsewhere: int) -> None:
    oldest = Counting(SlowPolicy.DROP_OLDEST)
    backlog: Backlog[str] = Backlog()
    backlog.add("a", 10)
    assert backlog.offer("b", 10, oldest, 30)
    assert not backlog.offer("c", size, oldest, 30, elsewhere)
    assert oldest.dropped == 0
    assert taken(backlog) == "ab"


def test_of_a_recipient_that_wants_the_latest_only_the_latest_waits_and_at_its_end() -> None:
    score, clock = Counting(SlowPolicy.LATEST), Counting(SlowPolicy.LATEST)
    backlog = filled(score, items="a")
    backlog.offer("b", 10, clock, 30)
    backlog.offer("c", 4, score, 30)
    assert (score.dropped, clock.dropped) == (1, 0)
    assert backlog.size == 14
    assert taken(backlog) == "bc"
    backlog.offer("d", 10, score, 30)
    assert (score.dropped, taken(backlog)) == (1, "d")  # c was taken, and is no more to be dropped


def test_the_latest_waits_whatever_the_bound() -> None:
    latest = Counting(SlowPolicy.LATEST)
    backlog = filled(None)
    assert backlog.offer("d", 10, latest, 30)
    assert backlog.offer("e", 100, latest, 30, 1000)
    assert latest.dropped == 1
    assert taken(backlog) == "abce"


@pytest.mark.parametrize("policy", SlowPolicy)
def test_what_is_bigger_than_the_bound_fits_where_nothing_waits(policy: SlowPolicy) -> None:
    recipient = Counting(policy)
    backlog: Backlog[str] = Backlog()
    assert backlog.offer("a", 1000, recipient, 30)
    assert taken(backlog) == "a"
    assert backlog.offer("b", 1000, recipient, 30)
    assert backlog.offer("c", 1000, recipient, 30, 1) is (policy is SlowPolicy.LATEST)


def test_what_waits_elsewhere_counts() -> None:
    backlog: Backlog[str] = Backlog()
    assert backlog.offer("a", 10, None, 30, 20)
    assert not backlog.offer("b", 10, None, 30, 20)
    assert backlog.offer("b", 10, None, 30, 10)


def test_what_must_go_out_waits_whatever_the_bound_and_in_its_order() -> None:
    oldest = Counting(SlowPolicy.DROP_OLDEST)
    backlog = filled(oldest)
    backlog.add("d", 1000)
    assert backlog.size == 1030
    assert not backlog.offer("e", 1, oldest, 30)
    assert taken(backlog) == "abcd"


def test_what_is_taken_up_to_a_size_is_whole_and_in_order() -> None:
    backlog = filled(None, items="abcdef", bound=100)
    assert "".join(backlog.take_up_to(25)) == "abc"
    assert "".join(backlog.take_up_to(1)) == "d"
    assert backlog.size == 20
    assert "".join(backlog.take_up_to(1000)) == "ef"
    assert list(backlog.take_up_to(1000)) == []


def test_there_is_nothing_to_take_where_nothing_waits() -> None:
    backlog: Backlog[str] = Backlog()
    with pytest.raises(IndexError):
        backlog.take()


def test_after_it_is_cleared_nothing_waits_and_what_did_is_counted() -> None:
    recipients = [Counting(policy) for policy in SlowPolicy]
    backlog: Backlog[str] = Backlog()
    for _ in range(3):
        for recipient in recipients:
            backlog.offer("a", 10, recipient, 60)
    waiting = len(backlog)
    before = sum(recipient.dropped for recipient in recipients)
    backlog.clear()
    assert (backlog.size, len(backlog)) == (0, 0)
    counts = [recipient.dropped for recipient in recipients]
    assert sum(counts) == before + waiting
    assert all(backlog.offer("b", 10, recipient, 60) for recipient in recipients)
    assert [recipient.dropped for recipient in recipients] == counts
    assert taken(backlog) == "bbbb"


def everything_in(backlog: Backlog[Any]) -> int:
    """Count what it holds in memory, shells and the parts of its queues included."""
    kept = [getattr(backlog, name) for name in Backlog.__slots__]
    return sum(len(part) for part in kept if not isinstance(part, int))


@pytest.mark.parametrize("policy", [SlowPolicy.DROP_OLDEST, SlowPolicy.LATEST])
@pytest.mark.parametrize("kept", ["first", "last"])
def test_who_has_stalled_for_long_costs_no_more_memory(policy: SlowPolicy, kept: str) -> None:
    recipient = Counting(policy)
    backlog: Backlog[int] = Backlog()
    if kept == "first":
        backlog.add(-1, 10)  # the shells behind it are reached by no `take`
    held = []
    for number in range(10_000):
        assert backlog.offer(number, 10, recipient, 200)
        held.append(everything_in(backlog))
    assert max(held[5000:]) <= max(held[:200]) < 150
    assert recipient.dropped > 9900
    assert sys.getsizeof(backlog._queue) < 10_000


@pytest.mark.parametrize("policy", [SlowPolicy.DROP_OLDEST, SlowPolicy.LATEST])
def test_an_offer_takes_no_longer_where_much_waits(policy: SlowPolicy) -> None:
    def time_of(waiting: int) -> float:
        backlog: Backlog[int] = Backlog()
        recipient = Counting(policy)
        for number in range(waiting):
            backlog.offer(number, 10, recipient if policy is SlowPolicy.DROP_OLDEST else None, waiting * 10)
        before = process_time()
        for number in range(5_000):
            backlog.offer(number, 10, recipient, waiting * 10)
        return process_time() - before

    assert min(time_of(10_000) for _ in range(3)) < 10 * min(time_of(100) for _ in range(3))


def test_a_recipient_that_is_gone_is_not_taken_for_a_new_one() -> None:
    backlog: Backlog[str] = Backlog()
    for number in range(1000):
        assert backlog.offer(str(number), 10, Counting(SlowPolicy.LATEST), 10)
    assert len(backlog) == 1000  # each keeps its own latest: while one waits, its identity is nobody else's


class Waiting(NamedTuple):
    item: int
    size: int
    who: int | None


class ANaiveList(RuleBasedStateMachine):
    """The same as a list, each step spelled out."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog: Backlog[int] = Backlog()
        self.model: list[Waiting] = []
        self.recipients = [Counting(policy) for policy in SlowPolicy for _ in range(2)]
        self.dropped: Counter[int] = Counter()
        self.number = 0

    @initialize(bound=st.integers(0, 60))
    def begin(self, bound: int) -> None:
        self.bound = bound

    @property
    def size(self) -> int:
        return sum(waiting.size for waiting in self.model)

    def drop_first(self, which: Callable[[Waiting], bool]) -> bool:
        found = next(filter(which, self.model), None)
        if found is None or found.who is None:
            return False
        self.model.remove(found)
        self.dropped[found.who] += 1
        return True

    def is_droppable(self, waiting: Waiting) -> bool:
        return waiting.who is not None and self.recipients[waiting.who].policy is SlowPolicy.DROP_OLDEST

    def takes(self, size: int, who: int | None, elsewhere: int) -> bool:
        """Whether it is taken, with what is dropped for it."""
        policy = None if who is None else self.recipients[who].policy
        if policy is SlowPolicy.LATEST:
            self.drop_first(lambda waiting: waiting.who == who)
            return True
        before, dropped = list(self.model), self.dropped.copy()
        while self.size + elsewhere > 0 and self.size + elsewhere + size > self.bound:
            if policy is not SlowPolicy.DROP_OLDEST or not self.drop_first(self.is_droppable):
                self.model, self.dropped = before, dropped
                return False
        return True

    @rule(size=st.integers(1, 40))
    def add(self, size: int) -> None:
        self.number += 1
        self.backlog.add(self.number, size)
        self.model.append(Waiting(self.number, size, None))

    @rule(size=st.integers(1, 40), who=st.integers(0, 7) | st.none(), elsewhere=st.sampled_from([0, 0, 1, 20, 70]))
    def offer(self, size: int, who: int | None, elsewhere: int) -> None:
        self.number += 1
        recipient = None if who is None else self.recipients[who]
        expected = self.takes(size, who, elsewhere)
        if expected:
            self.model.append(Waiting(self.number, size, who))
        assert self.backlog.offer(self.number, size, recipient, self.bound, elsewhere) is expected

    @rule()
    def take(self) -> None:
        if self.model:
            assert self.backlog.take() == self.model.pop(0).item
        else:
            with pytest.raises(IndexError):
                self.backlog.take()

    @rule(size=st.integers(1, 80))
    def take_up_to(self, size: int) -> None:
        expected: list[int] = []
        wanted = size
        while self.model and wanted > 0:
            first = self.model.pop(0)
            wanted -= first.size
            expected.append(first.item)
        assert list(self.backlog.take_up_to(size)) == expected

    @rule()
    def clear(self) -> None:
        self.backlog.clear()
        self.dropped.update(waiting.who for waiting in self.model if waiting.who is not None)
        self.model.clear()

    @invariant()
    def both_are_alike(self) -> None:
        assert (len(self.backlog), self.backlog.size) == (len(self.model), self.size)
        assert [recipient.dropped for recipient in self.recipients] == [self.dropped[who] for who in range(8)]
        assert len(self.backlog._queue) <= 2 * len(self.model) + 1


TestANaiveList = ANaiveList.TestCase
TestANaiveList.settings = settings(max_examples=40, stateful_step_count=30)
