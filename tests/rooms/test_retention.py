from __future__ import annotations

import math
from typing import Any

import pytest

from roomcast import ConfigurationError, Retention, Rooms
from roomcast.rooms.retention import MAX_BYTES, MAX_SIZE, Retentions

LITTLE = Retention(size=1, bytes=1000, age=60.0)
MUCH = Retention(size=MAX_SIZE, bytes=MAX_BYTES, age=math.inf)
NOTHING = Retention(size=0, bytes=0, age=1)


def test_the_first_pattern_that_matches_the_whole_name_counts() -> None:
    retentions = Retentions({"news.*": LITTLE, "?": NOTHING, "[ab]b": NOTHING, "*.MUCH": MUCH})
    assert retentions.of("news.sport", NOTHING) is LITTLE
    assert retentions.of("news.MUCH", NOTHING) is LITTLE
    assert retentions.of("old.MUCH", NOTHING) is MUCH
    assert retentions.of("bb", MUCH) is NOTHING
    assert retentions.of("\n", MUCH) is NOTHING


@pytest.mark.parametrize("room", ["the news.sport", "news", "NEWS.", "old.much", "cb", "ab\n"])
def test_a_room_that_no_pattern_matches_keeps_what_the_broker_keeps(room: str) -> None:
    default = Retention(size=7, bytes=7, age=7)
    assert Retentions({"news.*": LITTLE, "*.MUCH": MUCH, "[ab]b": NOTHING}).of(room, default) is default
    assert Retentions().of(room, default) is default


def test_one_retention_is_that_of_all_rooms() -> None:
    assert Retentions(MUCH).of("any\nroom", LITTLE) is MUCH


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("size", -1, "size is a whole number from 0 to 1,000,000, not -1"),
        ("size", MAX_SIZE + 1, "size is a whole number"),
        ("size", 1.5, "size is a whole number"),
        ("size", True, "size is a whole number"),
        ("size", None, "size is a whole number"),
        ("bytes", -1, "bytes is a whole number from 0 to 536,870,912, not -1"),
        ("bytes", MAX_BYTES + 1, "bytes is a whole number"),
        ("bytes", "4 MiB", "bytes is a whole number"),
        ("age", 0, "age is a number of seconds above 0, not 0"),
        ("age", -1.0, "age is a number"),
        ("age", math.nan, "age is a number"),
        ("age", True, "age is a number"),
        ("age", "1h", "age is a number"),
    ],
)
def test_a_number_that_cannot_be_is_told_with_what_would_be_right(field: str, value: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Retention(**{"size": 1, "bytes": 1, "age": 1, field: value})


@pytest.mark.parametrize(
    ("retention", "told"),
    [
        ({"": LITTLE}, "a room pattern is a str such as 'news.\\*', not ''"),
        ({1: LITTLE}, "a room pattern is a str"),
        ({"a": 256}, "the pattern 'a' takes a Retention, not 256"),
        ({"*": LITTLE, "a": LITTLE}, "'\\*' matches every room: put it last"),
        (256, "retention is a Retention, or a mapping of room patterns to them, not 256"),
        ([("a", LITTLE)], "retention is a Retention, or a mapping"),
    ],
)
def test_a_retention_that_cannot_be_is_refused_where_the_rooms_are_made(retention: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Rooms("memory://", retention=retention)


async def test_rooms_keep_what_their_pattern_says() -> None:
    async with Rooms("memory://", retention={"few.*": LITTLE, "none": NOTHING}) as rooms:
        for room in ("few.a", "none", "many"):
            for text in "abc":
                await rooms.publish(room, text)
        assert [kept.data for kept in await rooms.history("few.a")] == ["c"]
        assert await rooms.history("none") == []
        assert (await rooms.position("none")).offset == 3
        assert [kept.data for kept in await rooms.history("many")] == ["a", "b", "c"]
