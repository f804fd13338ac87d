"""Stay: one member's time in a room, from the subscription to the farewell."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from roomcast.close_codes import CloseCode
from roomcast.errors import BrokerUnavailable, Disconnected
from roomcast.rooms.calls import ARRIVING, DEPARTING, PUBLISHING, READING
from roomcast.rooms.events import Joined, Left, from_envelope, to_envelope
from roomcast.rooms.fanout import encode
from roomcast.rooms.names import channel_of
from roomcast.rooms.publication import Publication

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from roomcast.rooms.connection import Connections
    from roomcast.rooms.member import Member
    from roomcast.rooms.node import Node
    from roomcast.rooms.publication import Position

    Greeting: TypeAlias = Callable[[Member], Awaitable[str | bytes]]

logger = logging.getLogger("roomcast.rooms")


class Stay:
    """Brings a member into its room once, and out of it once, whoever ends it and however often.

    Args:
        member: who stays.
        node: what it shares with the other stays of this process.
        connections: what holds the member's connection until it leaves.
    """

    def __init__(self, member: Member, node: Node, connections: Connections) -> None:
        self.member = member
        member.stay = self
        self._node = node
        self._connections = connections
        self._undo = AsyncExitStack()
        self._beginning = asyncio.Lock()
        self._announced = False
        self._told = False
        self._holds = True
        self._farewell: asyncio.Task[None] | None = None

    async def begin(self, subprotocol: str | None, since: Position | None, greet: Greeting | None) -> None:
        """Subscribe, be present, become a member, accept the connection, and have the others told.

        In this order, so that a peer whose connection is open misses nothing that is said from then on.
        """
        async with self._beginning:
            node, member, room = self._node, self.member, self.member.room
            node.membership.check_space(room)
            await self._subscribe(room)
            if member.user is not None:
                await self._subscribe(channel_of(member.user))
            self._undo.push_async_callback(self._announce_leave)
            self._undo.push_async_callback(self._depart)
            with ARRIVING:
                await node.broker.arrive(room, member.id, member.presence.to_bytes())
            self._check_connected()
            member.hold()
            node.membership.add(member)
            node.users.add(member)
            await member.connection.accept(subprotocol)
            await self._catch_up(since, greet)
            notice = to_envelope(Joined(room, member.presence))
            await node.pace.take(len(notice))
            self._check_connected()
            self._announced = True  # from here on it may be carried, also where this is cancelled
            try:
                with PUBLISHING:
                    await node.broker.publish(room, notice, keep=False)
            except BrokerUnavailable:
                self._announced = False
                raise
            self._told = node.callbacks.joined(room, member.presence)

    async def _subscribe(self, channel: str) -> None:
        await self._node.subscriptions.acquire(channel)
        self._undo.callback(self._node.subscriptions.release, channel)

    def _check_connected(self) -> None:
        if self._farewell is not None or self.member.closed:
            ws = self.member.connection.ws
            raise Disconnected(ws.close_code or CloseCode.ABNORMAL, ws.close_reason)

    async def _catch_up(self, since: Position | None, greet: Greeting | None) -> None:
        """Give the member its greeting and what it missed, then what has come in the meantime, each once."""
        member, room = self.member, self.member.room
        missed: list[tuple[Position, bytes]] = []
        newest: Position | None = None
        if since is not None:
            try:
                with READING:
                    history = await self._node.broker.history(room, since=since)
            except BrokerUnavailable as error:
                if self._node.broker.many_processes:
                    raise  # nothing is lost: who comes back soon gets it, here or on another node
                logger.warning("a member was not given what it missed: %s", error)
                member.recovered = False
            else:
                missed, newest, member.recovered = history.kept, history.position, history.complete
        if greet is not None:
            member.send(await greet(member))
        outlet = member.connection.outlet
        for position, payload in missed:
            # It may be more than the outlet holds: this member waits for its own peer, and nobody else does.
            await outlet.drained()
            event = from_envelope(room, position, payload)
            if isinstance(event, Publication) and event.exclude not in member.formerly:
                message = encode(member.encoder, event)
                if message is not None:
                    member.offer(message)
        await outlet.drained()
        if newest is not None:
            await self._node.reach(room, newest)
        for message, at in member.release():
            if newest is None or at is None or at.numbering != newest.numbering or at.offset > newest.offset:
                member.deliver(message)

    async def leave(self) -> None:
        """End the stay, and let go of the connection once all is undone."""
        try:
            await asyncio.shield(self.end())
        finally:
            if self._holds:
                self._holds = False
                # Else each would hold the other, and all of the connection, until the garbage collector looks.
                self.member.stay = None
                await self._connections.let_go(self.member.connection)

    def end(self) -> asyncio.Task[None]:
        """Take the member out at once, and undo the rest in a task, which is given."""
        if self._farewell is None:
            self._node.membership.discard(self.member)
            self._node.users.discard(self.member)
            self.member.connection.stays.pop(self.member.room, None)
            self._farewell = asyncio.create_task(self._say_farewell())
            self._node.farewells.add(self._farewell)
            self._farewell.add_done_callback(self._node.farewells.discard)
        return self._farewell

    async def _say_farewell(self) -> None:
        async with self._beginning:
            if self._told:
                self._node.callbacks.left(self.member.room, self.member.presence)
            try:
                await self._undo.aclose()
            except BrokerUnavailable as error:
                logger.warning("the broker was not told that a member left; presence will expire: %s", error)

    async def _announce_leave(self) -> None:
        if self._announced:
            room = self.member.room
            notice = to_envelope(Left(room, self.member.presence))
            await self._node.pace.take(len(notice))
            with PUBLISHING:
                await self._node.broker.publish(room, notice, keep=False)

    async def _depart(self) -> None:
        with DEPARTING:
            await self._node.broker.depart(self.member.room, self.member.id)
