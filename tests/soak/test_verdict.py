"""Whoever has grown is found out."""

from __future__ import annotations

import pytest

from tests.soak.soak import LONG, NODE, REDIS, Result
from tests.soak.verdict import LEAST, Growth, grown, growth
from tests.soak.watch import Look, Usage, Watch

MIB = 1 << 20


def watched(node: list[Usage], redis: list[Usage], *, pid: int = 1) -> Watch:
    watch = Watch(lambda: {NODE: 1, REDIS: 2})
    watch.rests[NODE] = [Look(number, 1, usage) for number, usage in enumerate(node)]
    watch.rests[REDIS] = [Look(number, 2, usage) for number, usage in enumerate(redis)]
    watch.rests[NODE][-1] = watch.rests[NODE][-1]._replace(pid=pid)
    return watch


def steady(count: int = 40) -> list[Usage]:
    return [Usage(50 * MIB + number % 3 * 100_000, 16 + number % 2) for number in range(count)]


def growing(memory: int, descriptors: int, count: int = 40) -> list[Usage]:
    return [
        Usage(look.memory + number * memory, look.descriptors + number * descriptors)
        for number, look in enumerate(steady(count))
    ]


def test_what_goes_up_and_down_has_not_grown() -> None:
    assert grown(watched(steady(), steady()), LONG) == []


def test_what_is_taken_in_the_first_quarter_is_kept_for_later() -> None:
    warm = [Usage(30 * MIB, 9), *steady()[1:]]
    assert grown(watched(warm, warm), LONG) == []


@pytest.mark.parametrize("count", [LEAST, 40, 400])
def test_memory_that_grows_is_found(count: int) -> None:
    lost = 40 * MIB // count
    (problem,) = grown(watched(growing(lost, 0, count), steady(count)), LONG)
    assert problem.startswith(f"the memory of {NODE} grew from ")


@pytest.mark.parametrize("who", [NODE, REDIS])
def test_a_file_that_an_episode_leaves_open_is_found(who: str) -> None:
    leaking, others = growing(0, 1), steady()
    watch = watched(leaking, others) if who == NODE else watched(others, leaking)
    (problem,) = grown(watch, LONG)
    assert problem == f"{who} had 31 files open at rest and has 51, and {LONG[who].descriptors} more it may have"


def test_a_node_that_was_another_one_in_between_is_found() -> None:
    (problem,) = grown(watched(steady(), steady(), pid=3), LONG)
    assert problem == f"{NODE} was not one process from start to end, or never at rest"


def test_a_node_that_was_never_at_rest_is_found() -> None:
    watch = watched(steady(), steady())
    watch.rests[NODE] = []
    assert len(grown(watch, LONG)) == 1


def test_what_was_lost_and_what_nodes_print_are_problems_too() -> None:
    result = Result(watched(steady(), steady()))
    assert result.problems(LONG) == []
    result.failures.append("episode 3: m missed p4 at 4.e")
    result.complaints.append("ResourceWarning: unclosed transport")
    assert result.problems(LONG) == [*result.failures, *result.complaints]


def test_the_first_quarter_is_a_warm_up() -> None:
    assert growth([1, 1, 5, 6, 7, 7, 9, 9]) == Growth(5.5, 9)
    assert growth([3]) == Growth(3, 3)
