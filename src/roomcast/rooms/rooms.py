"""Rooms: the facade that an app's author sees."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Any, Self, TypeVar

from roomcast import tracing
from roomcast.backlog import SlowPolicy, policy_of
from roomcast.close_codes import CloseCode
from roomcast.counts import Reason, counts
from roomcast.errors import (
    AlreadyJoined,
    ConfigurationError,
    LimitReached,
    RoomsClosed,
)
from roomcast.rooms.brokers import DEFAULT_URL, broker_from_url
from roomcast.rooms.callbacks import Callbacks
from roomcast.rooms.census import Census
from roomcast.rooms.connection import Connection, Connections, most_rooms
from roomcast.rooms.continuity import Continuity
from roomcast.rooms.events import check_encoder, publications_only
from roomcast.rooms.lifespan import with_lifespan
from roomcast.rooms.load import Load
from roomcast.rooms.member import Member
from roomcast.rooms.membership import Membership
from roomcast.rooms.names import check_room_name, check_user_name
from roomcast.rooms.node import Node
from roomcast.rooms.nodes import Beacon
from roomcast.rooms.outlet import OUTBOX_BYTES
from roomcast.rooms.pace import Pace
from roomcast.rooms.presence import Presence
from roomcast.rooms.reader import Reader
from roomcast.rooms.reading import read_ahead
from roomcast.rooms.retention import Retentions
from roomcast.rooms.stay import Stay
from roomcast.rooms.subscriptions import LINGER, Subscriptions
from roomcast.rooms.users import Users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
    from types import TracebackType

    from starlette.types import ASGIApp

    from roomcast.rooms.brokers.base import Broker
    from roomcast.rooms.callbacks import Callback
    from roomcast.rooms.events import Encoder
    from roomcast.rooms.publication import Position
    from roomcast.rooms.retention import Retention

MOST_FORMER_IDS = 64
"""How many former ids of a client count."""

FAREWELL_SECONDS = 5.0
"""How many seconds the closing of the rooms waits for its members to be seen off at the broker."""

CallbackT = TypeVar("CallbackT", bound="Callback")


class Rooms(Reader):
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
        retention: how much of each room's history is kept: one `Retention` for all rooms, or a mapping of
            patterns of room names to them, of which the first that matches counts
            (`{"news.*": Retention(…), "*": Retention(…)}`). Without one, what the broker keeps by itself.
        outbox_bytes: how many bytes of messages may wait for one connection. A connection that is over it is
            closed with code 4020. Without it, what the server has (`--ws-outbound-bytes`), and 1 MiB on servers of
            others.
        rooms_per_connection: how many rooms one connection may be in. Without it, `ROOMCAST_ROOMS_PER_CONNECTION`
            of the environment, where `off` is any number, or else 128.
        members_per_room: how many members a room may have in this process.
        linger: how many seconds this process stays subscribed at the broker to a room that its last member has
            left: who comes meanwhile costs the broker nothing.
        slow: what becomes of a message that comes while `outbox_bytes` wait for a member, where its join says
            nothing else: `disconnect`, `drop_oldest`, `drop_newest` or `latest`.

    Raises:
        UnknownBroker: if the URL names no broker.
        ConfigurationError: for an encoder or a retention that cannot be one, or a policy that is none.
    """

    def __init__(
        self,
        broker: str | Broker | None = None,
        *,
        encoder: Encoder = publications_only,
        retention: Retention | Mapping[str, Retention] | None = None,
        outbox_bytes: int | None = None,
        rooms_per_connection: int | None = None,
        members_per_room: int = 100_000,
        linger: float = LINGER,
        slow: SlowPolicy | str = SlowPolicy.DISCONNECT,
    ) -> None:
        if broker is None:
            broker = os.environ.get("ROOMCAST_BROKER", DEFAULT_URL)
        super().__init__(
            broker_from_url(broker) if isinstance(broker, str) else broker,
            Pace(turn_bytes=(outbox_bytes or OUTBOX_BYTES) // 8),
        )
        self._encoder = check_encoder(encoder)
        self._retentions = Retentions(retention)
        self._slow = policy_of(slow)
        self._rooms_per_connection = most_rooms() if rooms_per_connection is None else rooms_per_connection
        self._callbacks = Callbacks()
        self._continuity = Continuity(self._broker)
        self._node = Node(
            self._broker,
            Subscriptions(self._continuity if self._broker.many_processes else self._broker, linger=linger),
            Membership(members_per_room),
            Users(),
            self._pace,
            self._callbacks,
            self._continuity.reach,
        )
        self._connections = Connections(outbox_bytes, _end_all_stays)
        self._census = Census(self._node, self._connections)
        self._name = secrets.token_hex(4)
        self._beacon = Beacon(self._name, self._broker, Load(self._node, self._connections))
        self._joins = 0

    async def __aenter__(self) -> Self:
        if self._open:
            raise RoomsClosed("these rooms are open already: enter them once, where the app starts")
        workers = os.environ.get("ROOMCAST_WORKERS", "1")  # as `roomcast serve --workers` tells its workers
        if workers != "1" and not self._broker.many_processes:
            raise ConfigurationError(
                f"the rooms of this broker are in one process, but {workers} workers serve the app: "
                "use a broker that several processes share, or --workers 1"
            )
        self._pace.begin()
        await self._open_broker()
        self._threads.open()
        self._open = True
        self._census.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        self._census.close()
        try:
            await self._threads.close()
            for connection in self._connections:
                connection.close(CloseCode.SERVICE_RESTART, "the server restarts")
            await self._node.say_farewells(FAREWELL_SECONDS)
            await self._callbacks.close()
        finally:
            await self._node.subscriptions.close()
            await self._continuity.close()
            await self._beacon.put_out()
            await self._broker.close()

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Keep the rooms open while a Starlette or FastAPI app runs: `Starlette(lifespan=rooms.lifespan)`."""
        async with self:
            yield

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Give `app` with these rooms open while it runs, whether or not it handles ASGI's lifespan itself.

        And with the end of each WebSocket seen, on any server and in any framework: Quart and Django Channels need
        that on a server that is not ours.
        """
        return read_ahead(with_lifespan(app, self))

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
        formerly: Iterable[str] = (),
        slow: SlowPolicy | str | None = None,
        greet: Callable[[Member], Awaitable[str | bytes]] | None = None,
    ) -> AsyncIterator[Member]:
        """Be in a room for the length of an `async with` block.

        The connection is accepted first, if it was not yet. It leaves with the block, however the block ends,
        and at once where its connection is lost or closed.

        Args:
            room: the room's name, 1 to 255 characters, none of them a control character.
            ws: a `roomcast.WebSocket`; a Starlette, FastAPI or Litestar `WebSocket`; Quart's `websocket`; a Django
                Channels consumer; or (scope, receive, send), whose `receive` is the rooms' from now on. A
                connection may be in many rooms; hand the same object, or the same scope, to each join.
            info: what the others may know about the member.
            user: the user it belongs to, for `send_to` and `disconnect`; a name as a room's.
            encoder: how events are written for this member.
            subprotocol: what to accept the connection with, if it is not accepted yet.
            since: the newest position that the member knows from before. It first gets what it has missed since
                then, then what comes, each once; `member.recovered` says whether all of that was still kept.
            formerly: the ids that the same client's members had before. What was published with `exclude` for one
                of them is not for this one either. Of more than 64, the last 64 count.
            slow: what becomes of a message of this room that comes while too much waits for this member:
                `disconnect`, `drop_oldest`, `drop_newest`, or `latest` for a room whose messages replace each
                other; None for what the rooms were made with. `member.stats` counts what is dropped.
            greet: gives the member's very first message, for a client that is to be told where it is. It sees
                `member.recovered`.

        Raises:
            InvalidRoomName: if the name is none.
            InvalidUserName: if the user's is none.
            AlreadyJoined: if the connection is in the room already.
            LimitReached: if it is in too many rooms, or the room is full.
            Unpublishable: if JSON cannot carry `info`.
            ConfigurationError: for an encoder or a policy that cannot be one, or a framework that needs `wrap` on
                this server.
            Disconnected: if the connection is over.
            RoomsClosed: if the rooms are not open.
            BrokerUnavailable: if the broker cannot be reached.
        """
        member = await self.enter(
            room,
            ws,
            info=info,
            user=user,
            encoder=encoder,
            subprotocol=subprotocol,
            since=since,
            formerly=formerly,
            slow=slow,
            greet=greet,
        )
        try:
            yield member
        finally:
            await member.leave()

    async def enter(
        self,
        room: str,
        ws: Any,  # noqa: ANN401 - any framework's
        *,
        info: Any = None,  # noqa: ANN401 - whatever JSON can carry
        user: str | None = None,
        encoder: Encoder | None = None,
        subprotocol: str | None = None,
        since: Position | None = None,
        formerly: Iterable[str] = (),
        slow: SlowPolicy | str | None = None,
        greet: Callable[[Member], Awaitable[str | bytes]] | None = None,
    ) -> Member:
        """Be in a room until `await member.leave()`, where no block fits, as in a consumer of Django Channels.

        It leaves at once where its connection is lost or closed, also where `leave` is never called. Arguments and
        errors are those of `join`.
        """
        self._check_open()
        check_room_name(room)
        if user is not None:
            check_user_name(user)
        self._joins += 1
        presence = Presence.of(f"{self._name}-{self._joins:x}", user, info)
        connection = self._connections.hold(ws)
        try:
            stay = self._stay(room, connection, presence, encoder, slow)
        except BaseException:
            await self._connections.let_go(connection)
            raise
        stay.member.formerly = frozenset(list(formerly)[-MOST_FORMER_IDS:])
        if user is not None:
            connection.belongs_to(user)
        try:
            with tracing.joining(room, connection.ws.scope):
                await stay.begin(subprotocol, since, greet)
        except BaseException:
            await stay.leave()
            raise
        return stay.member

    def on_join(self, callback: CallbackT) -> CallbackT:
        """Call back for each member that has joined in this process: a decorator.

        ```python
        @rooms.on_join
        async def note(room: str, member: Presence) -> None:
            await database.note(room, member.user)
        ```

        The callback is a coroutine function, or a function that returns at once. Callbacks are called one after
        the other, in the order of the joins and leaves, and nobody waits for them. One that raises, or takes
        longer than 10 s, is logged. Of each join that is told, the leave is told later, once.
        """
        self._callbacks.on_join(callback)
        return callback

    def on_leave(self, callback: CallbackT) -> CallbackT:
        """Call back for each member that has left in this process, in whatever way: a decorator, as `on_join`."""
        self._callbacks.on_leave(callback)
        return callback

    @property
    def reachable(self) -> bool:
        """Whether the rooms are open, and their broker can be reached, as far as is known."""
        return self._open and self._broker.reachable

    async def _open_broker(self) -> None:
        node = self._node
        if self._broker.many_processes:
            deliver = self._continuity.open(node.deliver, node.lose)
            returned = self._continuity.returned
            await self._broker.open(deliver, self._retentions, returned=returned, vanished=node.vanished)
        else:
            await self._broker.open(node.deliver, self._retentions)
        try:
            await self._beacon.light()
        except BaseException:
            await self._broker.close()
            raise

    def _stay(
        self,
        room: str,
        connection: Connection,
        presence: Presence,
        encoder: Encoder | None,
        slow: SlowPolicy | str | None,
    ) -> Stay:
        if room in connection.stays:
            raise AlreadyJoined(f"this connection is in room {room!r} already")
        if len(connection.stays) >= self._rooms_per_connection:
            counts[Reason.ROOMS_PER_CONNECTION] += 1
            raise LimitReached(f"a connection may be in {self._rooms_per_connection} rooms")
        encoder = self._encoder if encoder is None else check_encoder(encoder)
        policy = self._slow if slow is None else policy_of(slow)
        member = Member(room, presence, connection, encoder, policy)
        stay = Stay(member, self._node, self._connections)
        connection.stays[room] = stay
        return stay


def _end_all_stays(connection: Connection) -> None:
    for stay in tuple(connection.stays.values()):
        stay.end()
