"""The stage: two nodes on a broker that may be broken, each on a link that may fail."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.cluster.cluster import Cluster
from tests.cluster.servers import SERVERS, url_at
from tests.faults.faults import PRESENCE_TTL, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

NODES = 2


@asynccontextmanager
async def set_up(
    broker: str,
    folder: Path,
    *,
    outage: float,
    nodes: int = NODES,
    env: Mapping[str, str] | None = None,
    **settings: float,
) -> AsyncIterator[Stage]:
    """Start a broker's server and nodes on it.

    Args:
        broker: which: a key of SERVERS.
        folder: where the server keeps its data.
        outage: how many seconds a fault lasts that ends by itself.
        nodes: how many nodes.
        env: variables of the nodes' environment, besides those of the tests.
        settings: of the broker, as its URL has them.
    """
    with SERVERS[broker](folder) as server:

        def url(port: int) -> str:
            return url_at(server, port, presence_ttl=PRESENCE_TTL, **settings)

        async with Cluster(server.port, url, env=env) as cluster:
            await asyncio.gather(*(cluster.add() for _ in range(nodes)))
            yield Stage(cluster, server, outage)
