"""Publisher: what can be said in rooms and to users, which takes a broker and no members."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from roomcast import jsontext, tracing
from roomcast.close_codes import CloseCode
from roomcast.errors import BrokerUnavailable, RoomsClosed, Unpublishable
from roomcast.rooms.calls import PUBLISHING
from roomcast.rooms.events import Closing, publication_envelope, to_envelope
from roomcast.rooms.member import Member
from roomcast.rooms.names import channel_of, check_key, check_room_name, check_user_name
from roomcast.rooms.threads import Threads
from roomcast.sendable import check_close
from roomcast.tally import tally

if TYPE_CHECKING:
    from concurrent.futures import Future

    from roomcast.rooms.brokers.base import Broker
    from roomcast.rooms.pace import Pace
    from roomcast.rooms.publication import Position


class Publisher:
    """Says things in rooms and to users, on all nodes, and waits for none who hear them.

    Args:
        broker: what carries them.
        pace: how much is published in one turn of the event loop.
    """

    def __init__(self, broker: Broker, pace: Pace) -> None:
        self._broker = broker
        self._pace = pace
        self._threads = Threads()
        self._open = False

    async def publish(
        self,
        room: str,
        data: Any,  # noqa: ANN401 - whatever JSON can carry
        *,
        exclude: Member | str | None = None,
        key: str | None = None,
        keep: bool = True,
    ) -> Position:
        """Say something in a room, to all its members on all nodes. It waits for none of them.

        Args:
            room: the room's name.
            data: `str` for a text message, `bytes` for a binary one; anything else goes as JSON.
            exclude: the member, or the id of the member, that does not get it.
            key: a name for this publication: the same key again, in this room and soon, publishes nothing, and
                gives the first one's position. At most 255 characters.
            keep: whether it takes an offset and a place in the history.

        Returns:
            Its position; the room's newest one if it is not kept.

        Raises:
            Unpublishable: if the data is neither str nor bytes, nor anything that JSON can carry.
            InvalidRoomName: if the name is none.
            InvalidKey: if the key is none.
            RoomsClosed: if the rooms are not open.
            BrokerUnavailable: if the broker did not take it.
            NotKept: if the members got it, but the history could not keep it; the room then has a new epoch.
        """
        self._check_open()
        check_room_name(room)
        if key is not None:
            check_key(key)
        excluded = exclude.id if isinstance(exclude, Member) else exclude
        if tracing.is_on():
            with tracing.publishing(room) as traceparent:
                envelope = _publication(data, excluded, traceparent)
                position = await self._carry(room, envelope, key=key, keep=keep)
        else:
            position = await self._carry(room, _publication(data, excluded), key=key, keep=keep)
        tally.published += 1
        return position

    def publish_threadsafe(
        self,
        room: str,
        data: Any,  # noqa: ANN401 - whatever JSON can carry
        *,
        exclude: Member | str | None = None,
        key: str | None = None,
        keep: bool = True,
    ) -> Future[Position]:
        """Publish from another thread than the event loop's, such as that of a `def` endpoint or a worker.

        Arguments as of `publish`. Nothing is raised here: the position, and whatever `publish` raises, come
        through the future. Its `result()` is not to be waited for in the event loop's own thread.
        """
        return self._threads.call(lambda: self.publish(room, data, exclude=exclude, key=key, keep=keep))

    async def send_to(self, user: str, data: Any) -> None:  # noqa: ANN401 - whatever JSON can carry
        """Send to a user: once to each connection that has joined as this user, on all nodes, whatever its rooms.

        It goes as it is, through no encoder. It is not kept: where the user has no connection, nothing happens.

        Args:
            user: the user, as its joins named it.
            data: `str` for a text message, `bytes` for a binary one; anything else goes as JSON.

        Raises:
            Unpublishable: if the data is neither str nor bytes, nor anything that JSON can carry.
            InvalidUserName: if the name is none.
            RoomsClosed: if the rooms are not open.
            BrokerUnavailable: if the broker did not take it.
        """
        self._check_open()
        check_user_name(user)
        await self._carry(channel_of(user), _publication(data, None), keep=False)

    async def disconnect(self, user: str, code: int = CloseCode.REMOVED, reason: str = "") -> None:
        """Close every connection that has joined as this user, on all nodes.

        What still waits to be written to them is dropped. Where the user has none, nothing happens; and nothing
        keeps the user from coming back.

        Args:
            user: the user, as its joins named it.
            code: the close code; 4005 tells a client not to come back by itself.
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            InvalidClose: for a code or reason that may not be sent.
            InvalidUserName: if the name is none.
            RoomsClosed: if the rooms are not open.
            BrokerUnavailable: if the broker did not take it.
        """
        self._check_open()
        check_user_name(user)
        check_close(code, reason)
        await self._carry(channel_of(user), to_envelope(Closing(code, reason)), keep=False)

    async def close(
        self, room: str, *, code: int = CloseCode.ROOM_CLOSED, reason: str = "the room was closed"
    ) -> None:
        """Close the connections of all who are in a room, on all nodes.

        They leave their other rooms with it, and what still waits to be written to them is dropped. The history
        stays, and whoever joins afterwards opens the room again. Where nobody is in it, nothing happens.

        Args:
            room: the room's name.
            code: the close code; 4006 tells a client not to come back by itself.
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            InvalidClose: for a code or reason that may not be sent.
            InvalidRoomName: if the name is none.
            RoomsClosed: if the rooms are not open.
            BrokerUnavailable: if the broker did not take it.
        """
        self._check_open()
        check_room_name(room)
        check_close(code, reason)
        await self._carry(room, to_envelope(Closing(code, reason)), keep=False)

    def _check_open(self) -> None:
        if not self._open:
            raise RoomsClosed(
                "the rooms are not open: enter `async with rooms:` where the app starts, or use rooms.lifespan "
                "or rooms.wrap(app)"
            )

    async def _carry(self, channel: str, envelope: bytes, *, key: str | None = None, keep: bool) -> Position:
        await self._pace.take(len(envelope))
        self._check_open()  # they may have been closed while this waited for its turn
        try:
            return await self._broker.publish(channel, envelope, key=key, keep=keep)
        except BrokerUnavailable:
            PUBLISHING.count()
            raise


def _publication(data: Any, exclude: str | None, traceparent: bytes = b"") -> bytes:  # noqa: ANN401 - whatever JSON can carry
    try:
        return publication_envelope(_as_data(data), time.time(), exclude, traceparent)
    except UnicodeEncodeError as error:
        raise Unpublishable(f"text must have a UTF-8 form: {error}") from None


def _as_data(data: Any) -> str | bytes:  # noqa: ANN401 - whatever JSON can carry
    if isinstance(data, str | bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    try:
        return jsontext.dumps(data)
    except (TypeError, ValueError) as error:
        raise Unpublishable(f"data must be str, bytes, or something that JSON can carry: {error}") from None
