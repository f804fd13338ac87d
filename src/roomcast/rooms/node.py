"""Node: what all stays of one process share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomcast.protocol.prepared import PreparedMessage
from roomcast.rooms.events import Closing, from_envelope
from roomcast.rooms.fanout import fan_out
from roomcast.rooms.names import user_of
from roomcast.rooms.publication import Publication

if TYPE_CHECKING:
    import asyncio

    from roomcast.rooms.brokers.base import Broker
    from roomcast.rooms.callbacks import Callbacks
    from roomcast.rooms.membership import Membership
    from roomcast.rooms.pace import Pace
    from roomcast.rooms.publication import Position
    from roomcast.rooms.subscriptions import Subscriptions
    from roomcast.rooms.users import Users


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
        farewells: the members that are being seen off.
    """

    broker: Broker
    subscriptions: Subscriptions
    membership: Membership
    users: Users
    pace: Pace
    callbacks: Callbacks
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
