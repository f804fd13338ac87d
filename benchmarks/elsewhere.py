"""Elsewhere: what a node spends on publications in rooms that it has no members in."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing

from benchmarks.fleet import fleet
from benchmarks.spread import PAYLOAD, Spread
from roomcast import Rooms

PUBLICATIONS = 100_000
ROOMS = 100
AT_ONCE = 500


def measure_elsewhere(busy: int = 1) -> dict[str, float]:
    """Publish in rooms with members on some nodes, and say what one of those, another one and the broker spend.

    Publications follow on each other as fast as they can, so that what a turn of the event loop costs is shared by
    many.

    Args:
        busy: on how many nodes each room has a member.
    """
    with (
        fleet(1 + busy) as started,
        closing(Spread(started.ports[1:], ROOMS, busy)),
        closing(Spread(started.ports[:1], 1, 1, first=ROOMS)),
    ):
        processes = {"idle": started.nodes[0], "busy": started.nodes[1], "broker": started.broker}
        before = {name: process.usage().cpu_seconds for name, process in processes.items()}
        start, own = time.perf_counter(), time.process_time()
        asyncio.run(_publish(started.url))
        seconds, own = time.perf_counter() - start, time.process_time() - own
        spent = {name: process.usage().cpu_seconds - before[name] for name, process in processes.items()}
    return {
        "publications": PUBLICATIONS,
        "seconds": seconds,
        "idle_percent": spent["idle"] / seconds * 100,
        **{f"{name}_us": cpu / PUBLICATIONS * 1e6 for name, cpu in (spent | {"publisher": own}).items()},
    }


async def _publish(url: str) -> None:
    data = "." * PAYLOAD
    async with Rooms(url) as rooms:
        for start in range(0, PUBLICATIONS, AT_ONCE):
            await asyncio.gather(
                *(rooms.publish(f"{number % ROOMS:05}", data) for number in range(start, start + AT_ONCE))
            )
