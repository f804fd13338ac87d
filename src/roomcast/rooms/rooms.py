"""Rooms: the facade that an app's author sees."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from typing import TYPE_CHECKING, Any, Self

from roomcast import jsontext
from roomcast.close_codes import CloseCode
from roomcast.errors import (
    AlreadyJoined,
    ConfigurationError,
    LimitReached,
    RoomsClosed,
    Unpublishable,
)
from roomcast.rooms.brokers import DEFAULT_URL, broker_from_url
from roomcast.rooms.connection import Connection, as_websocket
from roomcast.rooms.events import from_envelope, publications_only, to_envelope
from roomcast.rooms.fanout import fan_out
from roomcast.rooms.lifespan import with_lifespan
from roomcast.rooms.member import Member
from roomcast.rooms.membership import Membership
from roomcast.rooms.names import check_room_name
from roomcast.rooms.outlet import OUTBOX_BYTES
from roomcast.rooms.pace import Pace
from roomcast.rooms.presence import Presence
from roomcast.rooms.publication import Position, Publication
from roomcast.rooms.stay import Stay
from roomcast.rooms.subscriptions import LINGER, Subscriptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import TracebackType

    from starlette.types import ASGIApp

    from roomcast.rooms.brokers.base import Broker
    from roomcast.rooms.events import Encoder


class Rooms:
    """Rooms for any ASGI app.

    ```python
    rooms = Rooms()


    async def chat(ws):
        async with rooms.join("general", ws, info={"name": "Ada"}) as member:
            async for message in member:
                await rooms.publish("general", message, exclude=member)
    ```

    Open them for as long as the app runs: `async with rooms:`, or `lifespan=rooms.lifespan` in Starlette and
    FastAPI, or `application = rooms.wrap(application)` for any other ASGI app.

    Args:
        broker: a broker, or its URL. Without one, `ROOMCAST_BROKER` of the environment, or else `memory://`.
        encoder: how events are written for members whose join names no other encoder.
        outbox_bytes: how many bytes of messages may wait for one connection. A connection that is over it is
            closed with code 4020.
        rooms_per_connection: how many rooms one connection may be in.
        members_per_room: how many members a room may have in this process.
        linger: how many seconds this process stays subscribed at the broker to a room that its last member has
            left: who comes meanwhile costs the broker nothing.

    Raises:
        UnknownBroker: if the URL names no broker.
        ConfigurationError: for an encoder that cannot be one.
    """

    def __init__(
        self,
        broker: str | Broker | None = None,
        *,
        encoder: Encoder = publications_only,
        outbox_bytes: int = OUTBOX_BYTES,
        rooms_per_connection: int = 128,
        members_per_room: int = 100_000,
        linger: float = LINGER,
    ) -> None:
        if broker is None:
            broker = os.environ.get("ROOMCAST_BROKER", DEFAULT_URL)
        self._broker = broker_from_url(broker) if isinstance(broker, str) else broker
        self._encoder = check_encoder(encoder)
        self._outbox_bytes = outbox_bytes
        self._rooms_per_connection = rooms_per_connection
        self._membership = Membership(members_per_room)
        self._subscriptions = Subscriptions(self._broker, linger=linger)
        self._pace = Pace(outbox_bytes // 8)
        self._connections: dict[int, Connection] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._node = secrets.token_hex(4)
        self._joins = 0
        self._open = False

    async def __aenter__(self) -> Self:
        if self._open:
            raise RoomsClosed("these rooms are open already: enter them once, where the app starts")
        workers = os.environ.get("ROOMCAST_WORKERS", "1")  # as `roomcast serve --workers` tells its workers
        if workers != "1" and not self._broker.many_processes:
            raise ConfigurationError(
                f"these rooms are in the memory of one process, but {workers} workers serve the app: "
                "use a broker that several processes share, or --workers 1"
            )
        await self._broker.open(self._deliver)
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        try:
            for connection in tuple(self._connections.values()):
                connection.outlet.close(CloseCode.SERVICE_RESTART, "the server restarts")
            while self._farewells:
                await asyncio.wait(self._farewells)
        finally:
            await self._subscriptions.close()
            await self._broker.close()

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Keep the rooms open while a Starlette or FastAPI app runs: `Starlette(lifespan=rooms.lifespan)`."""
        async with self:
            yield

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Give `app` with these rooms open while it runs, whether or not it handles ASGI's lifespan itself."""
        return with_lifespan(app, self)

    @contextlib.asynccontextmanager
    async def join(
        self,
        room: str,
        ws: Any,  # noqa: ANN401 - any framework's
        *,
        info: Any = None,  # noqa: ANN401 - whatever JSON can carry
        user: str | None = None,
        encoder: Encoder | None = None,
        subprotocol: str | None = None,
        since: Position | None = None,
        greet: Callable[[Member], Awaitable[str | bytes]] | None = None,
    ) -> AsyncIterator[Member]:
        """Be in a room for the length of an `async with` block.

        The connection is accepted first, if it was not yet. It leaves with the block, however the block ends,
        and at once where its connection is lost or closed.

        Args:
            room: the room's name, 1 to 255 characters.
            ws: a `roomcast.WebSocket`, a Starlette or FastAPI `WebSocket`, or (scope, receive, send). A
                connection may be in many rooms; hand the same object, or the same scope, to each join.
            info: what the others may know about the member.
            user: the user it belongs to.
            encoder: how events are written for this member.
            subprotocol: what to accept the connection with, if it is not accepted yet.
            since: the newest position that the member knows from before. It first gets what it has missed since
                then, then what comes, each once; `member.recovered` says whether all of that was still kept.
            greet: gives the member's very first message, for a client that is to be told where it is. It sees
                `member.recovered`.

        Raises:
            InvalidRoomName: if the name is none.
            AlreadyJoined: if the connection is in the room already.
            LimitReached: if it is in too many rooms, or the room is full.
            Unpublishable: if JSON cannot carry `info`.
            ConfigurationError: for an encoder that cannot be one.
            Disconnected: if the connection is over.
            RoomsClosed: if the rooms are not open.
            BrokerUnavailable: if the broker cannot be reached.
        """
        self._check_open()
        check_room_name(room)
        connection = self._connect(ws)
        try:
            stay = self._stay(room, connection, self._presence(info, user), encoder)
            try:
                await stay.begin(subprotocol, since, greet)
                yield stay.member
            finally:
                await asyncio.shield(self._end(stay))
        finally:
            await self._let_go(connection)

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
                gives the first one's position.
            keep: whether it takes an offset and a place in the history.

        Returns:
            Its position; the room's newest one if it is not kept.

        Raises:
            Unpublishable: if the data is neither str nor bytes, nor anything that JSON can carry.
            InvalidRoomName: if the name is none.
            RoomsClosed: if the rooms are not open.
            BrokerUnavailable: if the broker did not take it.
        """
        self._check_open()
        check_room_name(room)
        excluded = exclude.id if isinstance(exclude, Member) else exclude
        try:
            envelope = to_envelope(Publication(room, _as_data(data), time.time(), exclude=excluded))
        except UnicodeEncodeError as error:
            raise Unpublishable(f"text must have a UTF-8 form: {error}") from None
        await self._pace.take(len(envelope))
        self._check_open()  # they may have been closed while this waited for its turn
        return await self._broker.publish(room, envelope, key=key, keep=keep)

    async def history(
        self, room: str, *, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> list[Publication]:
        """Give what is kept of a room's publications.

        Args:
            room: the room's name.
            since: only what came after this position.
            limit: at most so many, the oldest first; none for 0 and less.
            reverse: the newest first instead.
        """
        self._check_open()
        check_room_name(room)
        at_most = None if limit is None else max(limit, 0)
        history = await self._broker.history(room, since=since, limit=at_most, reverse=reverse)
        events = (from_envelope(room, position, payload) for position, payload in history.kept)
        return [event for event in events if isinstance(event, Publication)]

    async def position(self, room: str) -> Position:
        """Give the room's newest position."""
        self._check_open()
        check_room_name(room)
        return (await self._broker.history(room, limit=0)).position

    async def members(self, room: str) -> list[Presence]:
        """Give the members of a room, on all nodes."""
        self._check_open()
        check_room_name(room)
        return [Presence.from_bytes(presence) for presence in await self._broker.present(room)]

    async def count(self, room: str) -> int:
        """Give the number of members of a room, on all nodes."""
        self._check_open()
        check_room_name(room)
        return len(await self._broker.present(room))

    async def active(self) -> dict[str, int]:
        """Give the rooms that have members, on any node, and how many."""
        self._check_open()
        return await self._broker.rooms()

    def _check_open(self) -> None:
        if not self._open:
            raise RoomsClosed(
                "the rooms are not open: enter `async with rooms:` where the app starts, or use rooms.lifespan "
                "or rooms.wrap(app)"
            )

    def _connect(self, ws: Any) -> Connection:  # noqa: ANN401 - any framework's
        """Give the connection that `ws` is in its rooms by: one for all of them."""
        face = as_websocket(ws)
        connection = self._connections.get(id(face.scope))
        if connection is None:
            connection = Connection(face, bound=self._outbox_bytes, on_close=self._connection_closed)
            self._connections[id(face.scope)] = connection
        connection.joins += 1
        return connection

    async def _let_go(self, connection: Connection) -> None:
        connection.joins -= 1
        if not connection.joins:
            del self._connections[id(connection.ws.scope)]
            await connection.finish()

    def _presence(self, info: Any, user: str | None) -> Presence:  # noqa: ANN401 - whatever JSON can carry
        self._joins += 1
        presence = Presence(f"{self._node}-{self._joins:x}", user, info, time.time())
        try:
            # As the others get it, so that what the app does to `info` later does not change who leaves.
            return Presence.from_bytes(presence.to_bytes())
        except (TypeError, ValueError) as error:
            raise Unpublishable(f"info must be something that JSON can carry: {error}") from None

    def _stay(self, room: str, connection: Connection, presence: Presence, encoder: Encoder | None) -> Stay:
        if room in connection.stays:
            raise AlreadyJoined(f"this connection is in room {room!r} already")
        if len(connection.stays) >= self._rooms_per_connection:
            raise LimitReached(f"a connection may be in {self._rooms_per_connection} rooms")
        member = Member(room, presence, connection, self._encoder if encoder is None else check_encoder(encoder))
        stay = Stay(member, self._broker, self._subscriptions, self._membership, self._pace)
        connection.stays[room] = stay
        return stay

    def _end(self, stay: Stay) -> asyncio.Task[None]:
        farewell = stay.end()
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)
        return farewell

    def _connection_closed(self, connection: Connection) -> None:
        for stay in tuple(connection.stays.values()):
            self._end(stay)

    def _deliver(self, room: str, position: Position | None, payload: bytes) -> None:
        fan_out(from_envelope(room, position, payload), self._membership.of(room))


def check_encoder(encoder: Encoder) -> Encoder:
    """Give back what can be an encoder.

    Raises:
        ConfigurationError: if it cannot: with it, an event would fail for all members of the room.
    """
    try:
        hash(encoder)
    except TypeError:
        usable = False
    else:
        usable = callable(encoder)
    if not usable:
        raise ConfigurationError(
            f"an encoder is a function that takes a room event, and hashable, not {encoder!r}"
        )
    return encoder


def _as_data(data: Any) -> str | bytes:  # noqa: ANN401 - whatever JSON can carry
    if isinstance(data, str | bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    try:
        return jsontext.dumps(data)
    except (TypeError, ValueError) as error:
        raise Unpublishable(f"data must be str, bytes, or something that JSON can carry: {error}") from None
