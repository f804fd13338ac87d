"""Presence: who is in the rooms, on all nodes, and which nodes there are.

Each member is a message in a stream, under its node's name. A node gives a sign of life now and then, and the
server forgets that in time: so a node refreshes all its members with one message. The members of a node that has
given none for too long are removed by one of the others.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.nats.failures import Refused
from roomcast.rooms.brokers.nats.stream import EXPECTED
from roomcast.rooms.brokers.nats.subjects import name_of
from roomcast.rooms.names import is_internal

if TYPE_CHECKING:
    from roomcast.rooms.brokers.base import Vanished
    from roomcast.rooms.brokers.nats.stream import Stream
    from roomcast.rooms.brokers.nats.subjects import Subjects

logger = logging.getLogger("roomcast.rooms")

BEATS = 30
"""How many signs of life lie between two looks for members of nodes that nobody saw go."""
AT_ONCE = 100
"""How many members are put back at the same time."""


class Presence:
    """The members of this node, and a look at those of all.

    Args:
        members: the stream that has the members.
        nodes: the stream that has the signs of life.
        subjects: what they are called there.
        vanished: is called with the room and the presence of each member that this node removes for a dead one.
    """

    def __init__(self, members: Stream, nodes: Stream, subjects: Subjects, vanished: Vanished) -> None:
        self.node = secrets.token_hex(6)
        self._members = members
        self._nodes = nodes
        self._subjects = subjects
        self._vanished = vanished
        self._own: dict[str, _Member] = {}
        self._behind: set[str] = set()
        """The members of which the stream may say something else than what is wanted."""
        self._sign = 0
        """The number of this node's last sign of life, 0 for none."""
        self._alive: set[str] = set()
        """The nodes that were there when they were last looked for."""
        self._until_all = 0
        """After how many signs of life to look for members of any node, and not only of those that were there."""
        self._beating: asyncio.Task[None] | None = None

    async def settle(self, ttl: float) -> None:
        """Give a sign of life on a new connection, and see to it that this node's members are there.

        Args:
            ttl: for how many seconds the server remembers a sign of life.
        """
        await self._give_sign()
        if self._beating is not None:
            await self._remove_returned()
        else:
            await self._remove_dead()
            self._beating = asyncio.create_task(self._beat(ttl / 3))

    async def _remove_returned(self) -> None:
        """Remove who left and is there again: a server that is killed may forget what it removed lately."""
        for subject in await self._members.subjects(self._subjects.members_of_node(self.node)):
            if subject not in self._own:
                await self._members.purge(subject)

    async def stop(self) -> None:
        """Give no sign of life any more."""
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
            await asyncio.wait([beating])

    async def leave(self) -> None:
        """Remove this node and its members."""
        await self.stop()
        self._own.clear()
        self._behind.clear()
        self._sign = 0
        try:
            await self._members.purge(self._subjects.members_of_node(self.node))
            await self._nodes.purge(self._subjects.node(self.node))
        except BrokerUnavailable as error:
            logger.warning("the broker was not told that this node goes: %s", error)

    async def arrive(self, room: str, member: str, presence: bytes) -> None:
        """Note a member's presence."""
        subject = self._subjects.member(self.node, room, member)
        own = self._own.setdefault(subject, _Member())
        own.wanted = presence
        try:
            await self._bring_about(subject, own)
        except BrokerUnavailable:
            if own.wanted is presence:
                own.wanted = None  # who could not arrive is not there
            raise

    async def depart(self, room: str, member: str) -> None:
        """Forget a member's presence."""
        subject = self._subjects.member(self.node, room, member)
        if (own := self._own.get(subject)) is not None:
            own.wanted = None
            await self._bring_about(subject, own)

    async def present(self, room: str) -> list[bytes]:
        """Give the presence of all members in a room."""
        return [kept.data for kept in await self._members.read(self._subjects.members_of_room(room))]

    async def rooms(self) -> dict[str, int]:
        """Give the rooms that have members, and how many."""
        rooms: dict[str, int] = {}
        for subject in await self._members.subjects(self._subjects.presences):
            room = name_of(subject.split(".")[3])
            if not is_internal(room):
                rooms[room] = rooms.get(room, 0) + 1
        return rooms

    async def _bring_about(self, subject: str, own: _Member) -> None:
        """Have the stream say of a member what is wanted, one step at a time; again later where that fails."""
        self._behind.add(subject)
        async with own.changing:
            wanted = own.wanted
            if wanted is not None and wanted != own.known:
                own.known, own.sequence = None, 0
                own.sequence = (await self._members.put(subject, wanted)).sequence
                own.known = wanted
            elif wanted is None:
                if own.sequence:
                    await self._members.remove(own.sequence)
                else:
                    await self._members.purge(subject)
                own.known, own.sequence = None, 0
            if own.wanted == own.known:
                self._behind.discard(subject)
                if own.wanted is None:
                    self._own.pop(subject, None)

    async def _catch_up(self) -> None:
        """Have the stream say what it could not be told before."""
        for subject in list(self._behind):
            if (own := self._own.get(subject)) is not None:
                await self._bring_about(subject, own)
            else:
                self._behind.discard(subject)

    # Signs of life

    async def _beat(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            try:
                await self._give_sign()
                await self._catch_up()
                await self._remove_dead()
            except BrokerUnavailable as error:
                logger.debug("no sign of life could be given: %s", error)
            except Exception:
                logger.exception("presence could not be kept up")

    async def _give_sign(self) -> None:
        """Say that this node is there; where the last time is forgotten, its members may have been removed."""
        subject = self._subjects.node(self.node)
        if self._sign:
            try:
                self._sign = (await self._nodes.put(subject, b"", {EXPECTED: str(self._sign)})).sequence
            except Refused:
                self._sign = 0
        if not self._sign:
            sign = (await self._nodes.put(subject, b"")).sequence
            await self._put_back()
            self._sign = sign

    async def _put_back(self) -> None:
        """Put back all members of this node."""
        subjects = list(self._own)
        for start in range(0, len(subjects), AT_ONCE):
            own = [
                (subject, self._own[subject])
                for subject in subjects[start : start + AT_ONCE]
                if subject in self._own
            ]
            for _, member in own:
                member.known = None
            await asyncio.gather(*(self._bring_about(subject, member) for subject, member in own))

    async def _remove_dead(self) -> None:
        """Remove the members of nodes that give no sign of life any more."""
        before = self._alive
        if not self._until_all:
            before |= {subject.split(".")[2] for subject in await self._members.subjects(self._subjects.presences)}
        self._alive = {subject.split(".")[2] for subject in await self._nodes.subjects(self._subjects.nodes)}
        self._until_all = (self._until_all or BEATS) - 1
        for node in before - self._alive - {self.node}:
            await self._remove(node)

    async def _remove(self, node: str) -> None:
        pattern = self._subjects.members_of_node(node)
        gone = await self._members.read(pattern)
        # Only now: a node that returns gives a sign before it puts its members back, so these are not among them.
        if not gone or await self._nodes.subjects(self._subjects.node(node)):
            return
        try:
            await self._nodes.put(self._subjects.undertaker(node), self.node.encode(), {EXPECTED: "0"})
        except Refused:
            return  # another node does it
        await self._members.purge(pattern, gone[-1].sequence + 1)
        for kept in gone:
            self._vanished(name_of(kept.subject.split(".")[3]), kept.data)


class _Member:
    """What is wanted and what is known of one of this node's members.

    Attributes:
        wanted: its presence; None where it is to be forgotten.
        known: what the stream says of it.
        sequence: the number of that in the stream, 0 for none.
        changing: held while it is being told.
    """

    __slots__ = ("changing", "known", "sequence", "wanted")

    def __init__(self) -> None:
        self.wanted: bytes | None = None
        self.known: bytes | None = None
        self.sequence = 0
        self.changing = asyncio.Lock()
