"""Subscriber: a node's subscriptions at one server, all on one connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomcast.rooms.brokers.redis.connections import pack
from roomcast.rooms.brokers.redis.reconnecting import Reconnecting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from redis.asyncio.connection import AbstractConnection

    from roomcast.errors import BrokerUnavailable
    from roomcast.rooms.brokers.redis.connections import Connect
    from roomcast.rooms.brokers.redis.reconnecting import Trouble

    Take: TypeAlias = Callable[[str, bytes], None]

CHANNELS_A_COMMAND = 500
"""How many channels one command subscribes to at the most."""
TURN_BYTES = 64 << 10
"""How many bytes are delivered in one turn of the event loop, so that the members' writers run in between."""


class Subscriber(Reconnecting):
    """Subscribes to the channels of rooms, those of one turn of the event loop together.

    After a lost connection it subscribes to all of them again, and then says that something may have been missed.

    Args:
        connect: opens a connection.
        take: is given each message: its room, and what was carried.
        returned: is called when all subscriptions are in place again.
        trouble: is told where a connection cannot be had.
        timeout: after how many seconds without an answer the connection counts as lost.
        sharded: whether the channels are those of a cluster's slots.
        connected: is called when there is a connection.
        failed: is called after each connection that was lost, and where a channel has gone to another server.
    """

    def __init__(
        self,
        connect: Connect,
        take: Take,
        returned: Callable[[], None],
        trouble: Trouble,
        timeout: float,
        *,
        sharded: bool,
        connected: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        super().__init__(connect, trouble, timeout, connected=connected, failed=failed)
        self._take = take
        self._returned = returned
        self._subscribe_command = b"SSUBSCRIBE" if sharded else b"SUBSCRIBE"
        self._unsubscribe_command = b"SUNSUBSCRIBE" if sharded else b"UNSUBSCRIBE"
        self._channels_a_command = 1 if sharded else CHANNELS_A_COMMAND
        self._rooms: dict[bytes, str] = {}
        """The rooms of the channels that are wanted."""
        self._asked: dict[bytes, int] = {}
        """How many of the subscriptions to a channel that were sent are not confirmed yet."""
        self._waiters: dict[bytes, list[asyncio.Future[None]]] = {}
        self._changed: dict[bytes, None] = {}
        """Channels that were subscribed to or given up since they were last sent, in their order."""
        self._there: set[bytes] = set()
        """The channels that the server sends."""
        self._wake = asyncio.Event()
        self._heard = 0.0
        self._pings = False
        self._is_returning = False
        """Whether it was connected before, and not all subscriptions are in place yet."""
        self._was_up = False

    @property
    def reachable(self) -> bool:
        """Whether it is connected, and all that is wanted comes."""
        return super().reachable and not self._is_returning

    async def subscribe(self, channel: bytes, room: str) -> None:
        """Take what comes on the channel, from when this returns.

        Raises:
            BrokerUnavailable: the server has not confirmed it in time.
        """
        if channel in self._there:
            return
        waiter = self.want(channel, room)
        try:
            async with asyncio.timeout(self._timeout):
                await waiter
        except TimeoutError:
            self.give_up(channel)
            raise (self._problem if not self._up.is_set() else self._trouble.tell(TimeoutError())) from None

    def want(self, channel: bytes, room: str) -> asyncio.Future[None]:
        """Subscribe to a channel, and give what is done when it is confirmed."""
        self._rooms[channel] = room
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(channel, []).append(waiter)
        self._change(channel)
        return waiter

    def give_up(self, channel: bytes) -> None:
        """Take nothing more of the channel."""
        self._rooms.pop(channel, None)
        if channel in self._there:
            self._there.discard(channel)
            self._change(channel)

    def missing(self) -> list[tuple[bytes, str]]:
        """Give the channels that are wanted and do not come, with their rooms."""
        return [(channel, room) for channel, room in self._rooms.items() if channel not in self._there]

    def wanted(self) -> list[tuple[bytes, str]]:
        """Give the channels that are wanted, with their rooms."""
        return list(self._rooms.items())

    def forget(self, why: BrokerUnavailable) -> None:
        """Forget everything, and tell those who wait why."""
        self._rooms.clear()
        self._there.clear()
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(why)
                    waiter.exception()
        self._waiters.clear()

    def _change(self, channel: bytes) -> None:
        self._changed.pop(channel, None)
        self._changed[channel] = None
        self._wake.set()

    async def _greet(self, connection: AbstractConnection) -> None:  # noqa: ARG002 - nothing is to be asked
        self._heard = asyncio.get_running_loop().time()
        self._changed = dict.fromkeys(self._rooms)
        self._is_returning = self._was_up
        self._was_up = True
        self._wake.set()

    async def _write(self, connection: AbstractConnection) -> None:
        if self._is_returning and not self._rooms:
            self._is_back()
        while True:
            await self._wake.wait()
            self._wake.clear()
            commands = self._commands()
            if commands:
                await connection.send_packed_command(commands, check_health=False)

    def _commands(self) -> list[bytes]:
        """Give the commands that bring the server up to date, one for many channels where that can be."""
        wanted, unwanted = [], []
        for channel in self._changed:
            if channel in self._rooms:
                wanted.append(channel)
                self._asked[channel] = self._asked.get(channel, 0) + 1
            else:
                unwanted.append(channel)
        self._changed.clear()
        packed = [pack((self._unsubscribe_command, *some)) for some in self._some(unwanted)]
        packed += [pack((self._subscribe_command, *some)) for some in self._some(wanted)]
        if self._pings:
            self._pings = False
            packed.append(pack(("PING",)))
        return packed

    def _some(self, channels: list[bytes]) -> Iterable[list[bytes]]:
        for start in range(0, len(channels), self._channels_a_command):
            yield channels[start : start + self._channels_a_command]

    async def _read(self, connection: AbstractConnection) -> None:
        loop, delivered = asyncio.get_running_loop(), 0
        while True:
            reply = await connection.read_response(disable_decoding=True, timeout=float("inf"))
            self._heard = loop.time()
            if not isinstance(reply, list):
                continue  # the answer to a PING
            kind = reply[0]
            if kind in {b"message", b"smessage"}:
                _, channel, message = reply
                room = self._rooms.get(channel)
                if room is not None:
                    self._take(room, message)
                    delivered += len(message)
                    if delivered > TURN_BYTES:
                        delivered = 0
                        await asyncio.sleep(0)
            elif kind in {b"subscribe", b"ssubscribe"}:
                self._confirmed(reply[1])
            elif kind in {b"unsubscribe", b"sunsubscribe"} and reply[1] in self._there:
                self._there.discard(reply[1])  # nobody asked for it: its slot has gone elsewhere
                self._failed()

    def _confirmed(self, channel: bytes) -> None:
        asked = self._asked.pop(channel, 1) - 1
        if asked:
            self._asked[channel] = asked
            return
        if channel not in self._rooms:
            self._change(channel)  # it was given up before it was confirmed
            return
        self._there.add(channel)
        for waiter in self._waiters.pop(channel, ()):
            if not waiter.done():
                waiter.set_result(None)
        if self._is_returning and not self._asked and not self._changed:
            self._is_back()

    def _is_back(self) -> None:
        self._is_returning = False
        self._returned()

    def _over(self) -> None:
        self._there.clear()
        self._asked.clear()

    def _look(self, now: float) -> None:
        if self._up.is_set() and now - self._heard > self._timeout:
            self._problem = self._trouble.tell(TimeoutError())
            self.drop()
        elif self._up.is_set() and now - self._heard > self._timeout / 2:
            self._pings = True
            self._wake.set()
