"""A short soak; `make soak` has the long one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.brokers.redis_server import needs_redis
from tests.soak.plot import draw
from tests.soak.soak import NODE, REDIS, SHORT, soak

if TYPE_CHECKING:
    from tests.soak.soak import Result

pytestmark = [
    needs_redis,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what processes have stands in /proc"),
    pytest.mark.timeout(180),
]


async def test_nothing_is_lost_and_nothing_left_behind() -> None:
    told: list[str] = []
    result: Result = await soak(0, 2, told.append)
    assert result.problems(SHORT) == []
    assert len(told) == result.episodes == 2
    assert {"publications", "deliveries", "reconnections", "visits", "stalls"} <= set(+result.done)
    assert {name: len(looks) for name, looks in result.watch.rests.items()} == dict.fromkeys(result.watch.rests, 2)
    plot = draw(result.watch, "A short soak", ["It was short."])
    for said in (NODE, REDIS, *(mark.what for mark in result.watch.marks)):
        assert said in plot
