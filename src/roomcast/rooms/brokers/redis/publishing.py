"""Publishing: what is published in one turn of the event loop in a room goes to Redis together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from roomcast.errors import BrokerUnavailable

if TYPE_CHECKING:
    from roomcast.rooms.brokers.redis.connections import Argument
    from roomcast.rooms.brokers.redis.room import Room
    from roomcast.rooms.brokers.redis.shards import Shards

MOST_TOGETHER = 100
"""How many publications one script makes at the most: Redis does nothing else meanwhile."""
BYTES_TOGETHER = 256 << 10
"""How many bytes of them, unless the first alone has more."""


@dataclass(slots=True, eq=False)
class Publication:
    """A publication on its way.

    Attributes:
        payload: what it carries.
        token: what tells it from any other.
        keep: whether it takes an offset and a place in the history.
        key: the name of what knows it again, if anything does beside the history.
        key_ttl: for how many milliseconds that does.
        answer: its position, as Redis writes it.
    """

    payload: bytes
    token: str
    keep: bool
    key: str | None
    key_ttl: int
    answer: asyncio.Future[bytes]


class Publishing:
    """Collects what is published in one turn of the event loop, and has one script make those of a room.

    Args:
        shards: the servers.
    """

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._waiting: dict[Room, list[Publication]] = {}

    def publish(self, room: Room, publication: Publication) -> None:
        """Publish at the end of this turn. What comes of it is in the publication's `answer`."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.send)
        self._waiting.setdefault(room, []).append(publication)

    def send(self) -> None:
        """Send what was collected, now."""
        waiting, self._waiting = self._waiting, {}
        for room, publications in waiting.items():
            some: list[Publication] = []
            size = 0
            for publication in publications:
                size += len(publication.payload)
                if some and (size > BYTES_TOGETHER or len(some) == MOST_TOGETHER):
                    self._send(room, some)
                    some, size = [], len(publication.payload)
                some.append(publication)
            self._send(room, some)

    def _send(self, room: Room, publications: list[Publication]) -> None:
        keys: list[Argument] = [room.order, room.stream]
        arguments: list[Argument] = [room.channel, room.size, room.space, room.age, len(publications)]
        for publication in publications:
            key = 0
            if publication.key is not None:
                keys.append(publication.key)
                key = len(keys)
            arguments += publication.payload, publication.token, int(publication.keep), key, publication.key_ttl
        link, script = self._shards.of(room.channel).link, self._shards.scripts.publish
        answer = link.run(room.channel, script, len(keys), *keys, *arguments, "", traced=True)
        answer.add_done_callback(partial(_tell, publications))


def _tell(publications: list[Publication], answer: asyncio.Future[Any]) -> None:
    """Give each publication what has come of it."""
    error = BrokerUnavailable("the broker was closed") if answer.cancelled() else answer.exception()
    if error is not None:
        for publication in publications:
            if not publication.answer.done():
                publication.answer.set_exception(error)
    else:
        for publication, position in zip(publications, answer.result(), strict=True):
            if not publication.answer.done():
                publication.answer.set_result(position)
