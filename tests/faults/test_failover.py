"""Redis fails over to a replica: what that had not got yet is lost, and whoever knew of it is told so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.brokers.redis_server import RedisSentinels, needs_redis
from tests.cluster.cluster import Cluster
from tests.faults.faults import PRESENCE_TTL
from tests.faults.traffic import Traffic

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [needs_redis, pytest.mark.timeout(120)]


async def test_members_are_told_what_a_failover_lost(tmp_path: Path) -> None:
    with RedisSentinels(tmp_path / "redis") as redis:
        url = f"{redis.url}?presence_ttl={PRESENCE_TTL}"
        async with Cluster(redis.master.port, lambda _: url) as cluster:
            await asyncio.gather(cluster.add(), cluster.add())
            async with Traffic(lambda: cluster.urls, "failover") as traffic:
                await traffic.flows()
                master, replica = redis.master, redis.replica
                replica.freeze()  # from here on it gets nothing
                await traffic.flows()
                master.kill()
                replica.thaw()
                await asyncio.to_thread(redis.wait_for_failover)
                await traffic.flows()
                await traffic.finish(lossless=False)
                assert all(len(member.account.chapters) > 1 for member in traffic.members)
