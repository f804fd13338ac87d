"""The checker itself: a checker that finds nothing wrong with anything proves nothing."""

from __future__ import annotations

import pytest

from roomcast import Position
from tests.faults.checker import Account, Acknowledged, Chapter, Seen, problems


def at(offset: int, epoch: str = "e") -> Position:
    return Position(offset, epoch)


def seen(*offsets: int, epoch: str = "e") -> list[Seen]:
    return [Seen(at(offset, epoch), f"p{offset}") for offset in offsets]


def acknowledged(*offsets: int, epoch: str = "e") -> list[Acknowledged]:
    return [Acknowledged("r", f"p{offset}", at(offset, epoch)) for offset in offsets]


def account(*chapters: Chapter) -> Account:
    return Account("m", "r", list(chapters))


def found(acks: list[Acknowledged], *accounts: Account, lossless: bool = True) -> list[str]:
    return problems(acks, list(accounts), lossless=lossless)


def test_all_once_and_in_order_is_right() -> None:
    assert found(acknowledged(2, 1, 3), account(Chapter(at(0), seen(1, 2, 3)))) == []


def test_what_was_published_before_the_join_may_come_or_not() -> None:
    acks = acknowledged(1, 2, 3)
    assert found(acks, account(Chapter(at(2), seen(3))), account(Chapter(at(2), seen(2, 3)))) == []


def test_what_nobody_acknowledged_may_be_seen() -> None:
    assert found(acknowledged(1, 3), account(Chapter(at(0), seen(1, 2, 3)))) == []


def test_rooms_have_nothing_to_do_with_each_other() -> None:
    other = Account("n", "s", [Chapter(at(0), [Seen(at(1), "q1")])])
    assert found(acknowledged(1), account(Chapter(at(0), seen(1))), other) == []


def test_a_new_epoch_of_the_same_numbering_counts_on() -> None:
    chapter = Chapter(at(0), [*seen(1), *seen(2, epoch="e-1")])
    assert found([*acknowledged(1), *acknowledged(2, epoch="e-1")], account(chapter)) == []


@pytest.mark.parametrize(
    ("offsets", "problem"),
    [
        ((1, 2), "m missed p3 at 3.e"),
        ((2, 3), "m knew 0.e, and first got p2 at 2.e"),
        ((1, 3), "m got p3 at 3.e after 1.e: a gap"),
        ((1, 2, 2, 3), "m got p2 at 2.e again"),
        ((1, 2, 3, 1), "m got p1 at 1.e again"),
        ((1, 3, 2), "m got p2 at 2.e after 3.e: out of order"),
        ((), "m missed p1 at 1.e"),
    ],
)
@pytest.mark.parametrize("lossless", [True, False])
def test_what_is_missed_repeated_or_out_of_order_is_found(
    offsets: tuple[int, ...], problem: str, lossless: bool
) -> None:
    assert problem in found(acknowledged(1, 2, 3), account(Chapter(at(0), seen(*offsets))), lossless=lossless)


def test_one_member_that_missed_something_among_many_is_found() -> None:
    well = [account(Chapter(at(0), seen(1, 2))) for _ in range(5)]
    assert found(acknowledged(1, 2), *well, account(Chapter(at(0), seen(1)))) == ["m missed p2 at 2.e"]


def test_who_never_came_in_is_found() -> None:
    assert found(acknowledged(1), account()) == ["m never came in"]


def test_two_publications_at_one_position_are_found() -> None:
    acks = [Acknowledged("r", "p1", at(1)), Acknowledged("r", "q1", at(1))]
    assert found(acks, account(Chapter(at(1)))) == ["1.e of r has several publications: ['p1', 'q1']"]


def test_other_data_than_what_was_acknowledged_is_found() -> None:
    (first, *_) = found(acknowledged(1), account(Chapter(at(0), [Seen(at(1), "other")])))
    assert first == "1.e of r has several publications: ['other', 'p1']"


def test_a_publication_that_was_published_twice_is_found() -> None:
    chapter = Chapter(at(0), [Seen(at(1), "p1"), Seen(at(2), "p1")])
    assert found(acknowledged(1), account(chapter)) == ["p1 of r was published several times: ['1.e', '2.e']"]


def test_nobody_may_be_told_of_a_loss_where_nothing_is_lost() -> None:
    told = account(Chapter(at(0), seen(1)), Chapter(at(1), seen(2)))
    assert found(acknowledged(1, 2), told) == ["m was told 1 times that something may be missing"]


def test_what_was_lost_is_excused_for_who_was_told() -> None:
    told = account(Chapter(at(0), seen(1)), Chapter(at(2, "f"), seen(3, epoch="f")))
    acks = [*acknowledged(1, 2), *acknowledged(3, epoch="f")]
    assert found(acks, told, lossless=False) == []


def test_what_came_after_the_loss_is_not_excused() -> None:
    told = account(Chapter(at(0), seen(1)), Chapter(at(2, "f"), seen(3, epoch="f")))
    acks = [*acknowledged(1), *acknowledged(3, 4, epoch="f")]
    assert found(acks, told, lossless=False) == ["m missed p4 at 4.f"]


def test_a_change_of_the_numbering_that_nobody_was_told_of_is_found() -> None:
    acks = [*acknowledged(1), *acknowledged(2, epoch="f")]
    untold = account(Chapter(at(0), [*seen(1), *seen(2, epoch="f")]))
    assert "m got p2 at 2.f after 1.e, and was not told" in found(acks, untold, lossless=False)
    deaf = account(Chapter(at(0), seen(1)))
    assert found(acks, deaf, lossless=False) == ["m missed p2 at 2.f, and was not told"]
