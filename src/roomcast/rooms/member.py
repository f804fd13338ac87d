"""Member: one connection's place in one room."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from roomcast import jsontext
from roomcast.backlog import MESSAGE_BYTES, Backlog, SlowPolicy
from roomcast.close_codes import CloseCode
from roomcast.errors import Disconnected, UnsupportedData
from roomcast.protocol.prepared import PreparedMessage
from roomcast.sendable import check_close
from roomcast.tally import tally

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from roomcast.rooms.connection import Connection
    from roomcast.rooms.events import Encoder
    from roomcast.rooms.presence import Presence
    from roomcast.rooms.publication import Position
    from roomcast.rooms.stay import Stay


class MemberStats(NamedTuple):
    """What has become of a member's messages.

    Attributes:
        queued_bytes: how many bytes wait on its connection, of all its rooms.
        delivered: how many messages were handed to its connection, and not dropped there.
        dropped: how many were dropped, because too much waited for its peer or the connection had closed.
    """

    queued_bytes: int
    delivered: int
    dropped: int


class Member:
    """A member, as `Rooms.join` gives it.

    Iterating over a member gives the messages that its connection receives, and ends when the connection does,
    whoever ended it: the peer, the handler, or the room because the member was too slow.

    Attributes:
        policy: what becomes of a message that comes while too much waits for it.
    """

    __slots__ = (
        "_delivered",
        "_dropped",
        "_held",
        "_offer",
        "_outlet",
        "connection",
        "encoder",
        "formerly",
        "id",
        "policy",
        "presence",
        "recovered",
        "room",
        "stay",
    )

    def __init__(
        self,
        room: str,
        presence: Presence,
        connection: Connection,
        encoder: Encoder,
        policy: SlowPolicy = SlowPolicy.DISCONNECT,
    ) -> None:
        self.room = room
        self.presence = presence
        self.id: str = presence.id
        """The member's id, unique among all members of all nodes."""
        self.encoder = encoder
        self.connection = connection
        self.policy = policy
        self._outlet = connection.outlet
        self._offer = connection.outlet.offer
        self.stay: Stay | None = None
        """Its time in the room, once that has begun."""
        self.formerly: frozenset[str] = frozenset()
        """The ids that the same client had before: what leaves out one of them leaves out this member."""
        self.recovered: bool | None = None
        """Whether all that was missed since the position of the join was still kept; None for a join without."""
        self._held: Backlog[tuple[PreparedMessage, Position | None]] | None = None
        self._delivered = 0
        self._dropped = 0

    @property
    def user(self) -> str | None:
        """The user it belongs to, if the app said so."""
        return self.presence.user

    @property
    def info(self) -> Any:  # noqa: ANN401 - whatever the app gave
        """What the app told about it at the join."""
        return self.presence.info

    @property
    def stats(self) -> MemberStats:
        """What has become of its messages so far."""
        return MemberStats(self._outlet.queued_bytes, self._delivered, self._dropped)

    @property
    def closed(self) -> bool:
        """Whether its connection takes nothing more."""
        return self._outlet.closed

    def send(self, data: str | bytes) -> bool:
        """Send to this member alone, in order with the room's messages, without waiting.

        Returns:
            Whether it was taken: not where the connection has closed, or closes because its outbox is full.

        Raises:
            UnsupportedData: if it is neither str nor bytes, or a str that has no UTF-8 (a lone surrogate).
        """
        if not isinstance(data, str | bytes):
            kind = type(data).__name__
            raise UnsupportedData(f"send() takes str or bytes, not {kind}; send_json() takes what JSON can carry")
        return self.offer(PreparedMessage(data))

    def send_json(self, value: Any) -> bool:  # noqa: ANN401
        """Send `value` as JSON to this member alone, as `send` does.

        Raises:
            UnsupportedData: if JSON cannot carry it.
        """
        try:
            text = jsontext.dumps(value)
        except (TypeError, ValueError) as error:
            raise UnsupportedData(f"send_json() cannot write this as JSON: {error}") from None
        return self.send(text)

    def hold(self) -> None:
        """Keep back the room's messages until `release`: what was missed comes first."""
        self._held = Backlog()

    def release(self) -> list[tuple[PreparedMessage, Position | None]]:
        """Keep back no more, and give what was kept back: all of that counts as delivered so far."""
        held, self._held = self._held, None
        if held is None:
            return []
        self._delivered -= len(held)
        return [held.take() for _ in range(len(held))]

    def deliver(self, message: PreparedMessage, position: Position | None = None) -> bool:
        """Offer a message of the room, or keep it back where it is not its turn yet."""
        if self._held is None:
            return self.offer(message)
        return self._count(self._keep_back(message, position, self._held))

    def offer(self, message: PreparedMessage) -> bool:
        """Offer a message that may be on its way to others, too, to the connection."""
        return self._count(self._offer(message, self))

    def drop(self) -> None:
        """Count a message that was taken, and is dropped after all."""
        self._delivered -= 1
        self.miss()

    def miss(self) -> None:
        """Count a message that was not taken, or dropped after all."""
        self._dropped += 1
        tally.dropped[self.policy] += 1

    def _count(self, taken: bool) -> bool:
        if taken:
            self._delivered += 1
        else:
            self.miss()
        return taken

    def _keep_back(
        self,
        message: PreparedMessage,
        position: Position | None,
        held: Backlog[tuple[PreparedMessage, Position | None]],
    ) -> bool:
        bound = self._outlet.bound
        if self.closed:
            held.clear()
            return False
        if held.offer((message, position), message.size + MESSAGE_BYTES, self, bound):
            return True
        if self.policy is SlowPolicy.DISCONNECT:
            reason = f"too slow: {bound} bytes came before it had caught up; come back and resume"
            self._outlet.close(CloseCode.TOO_SLOW, reason)
            held.clear()
        return False

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close its connection, without waiting. What still waits to be written is dropped.

        Raises:
            InvalidClose: for a code or reason that may not be sent.
        """
        check_close(code, reason)
        self._outlet.close(code, reason)

    async def leave(self) -> None:
        """Leave the room, and wait until the others are told. Does nothing where it has left, in whatever way.

        The connection stays open. With its last room it takes no more messages of rooms.
        """
        if self.stay is not None:
            await self.stay.leave()

    async def receive(self) -> str | bytes:
        """Wait for the next message of the connection.

        Raises:
            Disconnected: if the connection is over.
        """
        return await self.connection.receive()

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except Disconnected:
            raise StopAsyncIteration from None

    def __repr__(self) -> str:
        return f"<Member {self.id} of {self.room!r}{' closed' if self.closed else ''}>"
