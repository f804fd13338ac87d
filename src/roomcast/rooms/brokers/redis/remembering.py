"""Remembering: rooms that have members keep their order, however long nothing is said in them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.redis.scripts import IDLE_MS, REMEMBER

if TYPE_CHECKING:
    from roomcast.rooms.brokers.redis.shards import Shards

logger = logging.getLogger("roomcast.rooms")

INTERVAL = IDLE_MS / 1000 / 4
"""How many seconds lie between two times that Redis is told which rooms are in use."""
ROOMS_AT_A_TIME = 100


async def remember(shards: Shards, interval: float = INTERVAL) -> None:
    """Keep the order of the rooms that this node is subscribed to from expiring, until this is cancelled."""
    while True:
        await asyncio.sleep(interval)
        try:
            for shard in tuple(shards.all()):
                channels = [channel.decode() for channel, _ in shard.subscriber.wanted()]
                for start in range(0, len(channels), ROOMS_AT_A_TIME):
                    some = channels[start : start + ROOMS_AT_A_TIME]
                    await asyncio.gather(
                        *(shard.link.run(name, REMEMBER, 1, f"{name}:o", IDLE_MS) for name in some)
                    )
        except BrokerUnavailable:
            continue  # there are some times more until they expire
        except Exception:
            logger.exception("the broker was not told which rooms are in use")
