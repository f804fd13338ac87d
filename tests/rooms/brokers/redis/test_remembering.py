from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomcast.rooms.brokers.redis.remembering import remember
from tests.brokers.redis_server import RedisServer, needs_redis

if TYPE_CHECKING:
    from tests.rooms.brokers.redis.conftest import Open

pytestmark = needs_redis


async def test_rooms_with_members_keep_their_order_and_others_expire(redis: RedisServer, opened: Open) -> None:
    node = await opened(redis.url)
    for room in ("with members", "without"):
        await node.broker.history(room)
        redis.command("PEXPIRE", f"roomcast:{{{room}}}:o", 10_000)
    await node.broker.subscribe("with members")
    remembering = asyncio.create_task(remember(node.broker._shards, 0.01))  # type: ignore[attr-defined]
    async with asyncio.timeout(20):
        while redis.command("PTTL", "roomcast:{with members}:o") <= 10_000:  # noqa: ASYNC110 - it is in Redis
            await asyncio.sleep(0.02)
    remembering.cancel()
    assert redis.command("PTTL", "roomcast:{without}:o") <= 10_000
