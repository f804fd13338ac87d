"""Each fault once, in its short form; `make faults` has the long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.faults.faults import COMMON, OF_REDIS, Fault, Stage, strike
from tests.faults.stage import set_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

OUTAGE = 3.0
"""Seconds that a fault lasts which ends by itself."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with set_up("redis", tmp_path_factory.mktemp("redis"), outage=OUTAGE) as stage:
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with set_up("nats", tmp_path_factory.mktemp("nats"), outage=OUTAGE) as stage:
        yield stage


def name(fault: Fault) -> str:
    return fault.__name__


@pytest.mark.parametrize("fault", COMMON + OF_REDIS, ids=name)
async def test_nothing_is_lost_on_redis(redis: Stage, fault: Fault) -> None:
    await strike(redis, fault)


@pytest.mark.parametrize("fault", COMMON, ids=name)
async def test_nothing_is_lost_on_nats(nats: Stage, fault: Fault) -> None:
    await strike(nats, fault)
