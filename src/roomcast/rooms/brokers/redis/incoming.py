"""Incoming: what Redis carries to this node."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING

from roomcast.rooms.publication import Position

if TYPE_CHECKING:
    from roomcast.rooms.brokers.base import Deliver
    from roomcast.rooms.brokers.redis.life import Life

logger = logging.getLogger("roomcast.rooms")

PASSING = 4096
"""How many of the last publications that are not kept are known, should one be carried a second time."""


class Incoming:
    """Reads what is carried, and delivers it.

    What is not kept has no offset to be known by. Where the answer to its publisher was lost, it was sent again,
    and is told from others by its token.

    Args:
        deliver: is given the room, the position and the payload.
    """

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._passing: OrderedDict[bytes, None] = OrderedDict()

    def take(self, life: Life, room: str, message: bytes) -> None:
        """Deliver a message of a server to a room: `OFFSET EPOCH TOKEN PAYLOAD`."""
        try:
            offset, epoch, token, payload = message.split(b" ", 3)
            if offset:
                position = Position(int(offset), epoch.decode())
                life.delivered = room, position, token
                self._deliver(room, position, payload)
            elif token not in self._passing:
                self._passing[token] = None
                if len(self._passing) > PASSING:
                    self._passing.popitem(last=False)
                self._deliver(room, None, payload)
        except Exception:
            logger.exception("a publication could not be delivered")
