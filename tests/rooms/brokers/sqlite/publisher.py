"""A program that publishes without end, and prints what was delivered and acknowledged: to be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from roomcast import Position, Retention
from roomcast.rooms.brokers.sqlite import SqliteBroker
from roomcast.rooms.brokers.sqlite.url import Location
from roomcast.rooms.retention import Retentions

ROOMS = ("a", "b", "c")
EVERYTHING = Retentions(Retention(size=1_000_000, bytes=1 << 28, age=float("inf")))


def tell(what: str, room: str, position: Position | None, payload: bytes) -> None:
    # One write, at once: what is printed is all that there will ever be.
    os.write(1, f"{what} {room} {position} {payload.decode()}\n".encode())


async def publish(broker: SqliteBroker, run: str, number: int) -> None:
    count = 0
    while True:
        count += 1
        room, text = ROOMS[(number + count) % len(ROOMS)], f"{run}-{number}-{count}"
        key = text if count % 2 else None
        tell("acknowledged", room, await broker.publish(room, text.encode(), key=key), text.encode())


async def main(path: str, run: str) -> None:
    broker = SqliteBroker(Location(Path(path)))
    await broker.open(lambda *delivery: tell("delivered", *delivery), EVERYTHING)
    for room in ROOMS:
        await broker.subscribe(room)
    await asyncio.gather(*(publish(broker, run, number) for number in range(8)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
