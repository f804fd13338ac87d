"""Node: what all stays of one process share."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomcast.close_codes import CloseCode
from roomcast.errors import BrokerUnavailable
from roomcast.protocol.prepared import PreparedMessage
from roomcast.rooms.events import Closing, Left, from_envelope, to_envelope
from roomcast.rooms.fanout import fan_out
from roomcast.rooms.names import is_internal, user_of
from roomcast.rooms.presence import Presence
from roomcast.rooms.publication import Publication

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomcast.rooms.brokers.base import Broker
    from roomcast.rooms.callbacks import Callbacks
    from roomcast.rooms.membership import Membership
    from roomcast.rooms.pace import Pace
    from roomcast.rooms.publication import Position
    from roomcast.rooms.subscriptions import Subscriptions
    from roomcast.rooms.users import Users

logger = logging.getLogger("roomcast.rooms")


@dataclass(frozen=True, slots=True)
class Node:
    """One process with rooms.

    Attributes:
        broker: what keeps presence, and carries what is said to all nodes.
        subscriptions: this node's subscriptions there.
        membership: this node's members, by room.
        users: this node's members, by user.
        pace: what everything is published in step with.
        callbacks: what the app wants to be told.
        reach: waits until the members of a room have got what came up to a position.
        farewells: the members that are being seen off.
    """

    broker: Broker
    subscriptions: Subscriptions
    membership: Membership
    users: Users
    pace: Pace
    callbacks: Callbacks
    reach: Callable[[str, Position], Awaitable[None]]
    farewells: set[asyncio.Task[None]] = field(default_factory=set)

    def deliver(self, channel: str, position: Position | None, envelope: bytes) -> None:
        """Hand what the broker carries to whom it is meant for, without waiting for any."""
        user = user_of(channel)
        event = from_envelope(channel, position, envelope)
        members = self.membership.of(channel) if user is None else self.users.of(user)
        if isinstance(event, Closing):
            for member in members:
                member.connection.close(event.code, event.reason)
        elif user is None:
            self.pace.delivered(fan_out(event, members))
        elif isinstance(event, Publication):
            message = PreparedMessage(event.data)
            for member in members:
                member.deliver(message)

    def lose(self, room: str) -> None:
        """Have the members of a room come back and resume: what was published cannot be brought to them."""
        for member in self.membership.of(room):
            member.connection.close(CloseCode.MISSED, "messages were missed; come back and resume")

    def vanished(self, room: str, presence: bytes) -> None:
        """Have everybody told of the leave of a member whose node is gone."""
        if is_internal(room):
            return
        farewell = asyncio.create_task(self._announce(Left(room, Presence.from_bytes(presence))))
        self.farewells.add(farewell)
        farewell.add_done_callback(self.farewells.discard)

    async def _announce(self, left: Left) -> None:
        notice = to_envelope(left)
        await self.pace.take(len(notice))
        try:
            await self.broker.publish(left.room, notice, keep=False)
        except BrokerUnavailable as error:
            logger.warning("nobody was told that a member left whose node is gone: %s", error)
