from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from roomcast import LimitReached
from roomcast.rooms.membership import Membership

if TYPE_CHECKING:
    from roomcast import Member


class Someone:
    """As much of a member as membership looks at."""

    def __init__(self, room: str, id_: str) -> None:
        self.room = room
        self.id = id_


def someone(room: str = "r", id_: str = "m") -> Member:
    return cast("Member", Someone(room, id_))


def test_members_are_given_by_room_in_the_order_of_their_joins() -> None:
    membership = Membership(10)
    first, second, elsewhere = someone("r", "b"), someone("r", "a"), someone("other", "c")
    for member in (first, second, elsewhere):
        membership.add(member)
    assert list(membership.of("r")) == [first, second]
    assert list(membership.of("other")) == [elsewhere]
    assert list(membership.of("empty")) == []


def test_discarding_says_whether_the_member_was_there() -> None:
    membership = Membership(10)
    member = someone()
    assert not membership.discard(member)
    membership.add(member)
    assert membership.discard(member)
    assert not membership.discard(member)


def test_a_room_without_members_is_not_kept() -> None:
    membership = Membership(10)
    member = someone()
    membership.add(member)
    membership.discard(member)
    membership.of("asked for")
    membership.discard(someone("never there"))
    membership.check_space("r")
    assert membership._rooms == {}


def test_a_full_room_takes_nobody_until_somebody_leaves() -> None:
    membership = Membership(2)
    first, second, third = (someone("r", id_) for id_ in "abc")
    membership.add(first)
    membership.check_space("r")
    membership.add(second)
    with pytest.raises(LimitReached, match="the room is full: it may have 2 members here"):
        membership.check_space("r")
    with pytest.raises(LimitReached):
        membership.add(third)
    membership.add(someone("other"))
    membership.discard(first)
    membership.add(third)
    assert list(membership.of("r")) == [second, third]
