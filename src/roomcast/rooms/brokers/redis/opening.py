"""Opening: what a broker on Redis is made of, which needs redis-py."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.redis.connections import Connections
from roomcast.rooms.brokers.redis.incoming import Incoming
from roomcast.rooms.brokers.redis.names import Names
from roomcast.rooms.brokers.redis.presence import Presences
from roomcast.rooms.brokers.redis.remembering import remember
from roomcast.rooms.brokers.redis.scripts import Scripts
from roomcast.rooms.brokers.redis.shards import ClusterShards, Shards

if TYPE_CHECKING:
    from roomcast.rooms.brokers.base import Deliver, Returned, Vanished
    from roomcast.rooms.brokers.redis.url import Location


async def connected(
    location: Location, deliver: Deliver, returned: Returned, vanished: Vanished
) -> tuple[Shards, Presences, asyncio.Task[None]]:
    """Connect to the servers, begin to tell of this node's members, and have the rooms in use remembered.

    Raises:
        BrokerUnavailable: a server cannot be reached, or is none that rooms can have.
    """
    kind = ClusterShards if location.kind == "cluster" else Shards
    names = Names(location)
    shards = kind(
        location, names, Scripts(sharded=kind.sharded), Connections(location), Incoming(deliver).take, returned
    )
    await shards.open()
    presences = Presences(shards, names, location.settings.presence_ttl, vanished)
    try:
        await presences.open()
    except BaseException as error:
        await shards.close(error if isinstance(error, BrokerUnavailable) else BrokerUnavailable("it is not open"))
        raise
    return shards, presences, asyncio.create_task(remember(shards))
