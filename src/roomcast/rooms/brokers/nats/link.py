"""Link: the way to NATS, kept up for as long as the broker is open."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.nats.failures import NoAnswer, NobodyThere, Unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomcast.rooms.brokers.nats.connection import Connection, Message
    from roomcast.rooms.brokers.nats.url import Location

logger = logging.getLogger("roomcast.rooms")

TICK = 0.5
"""How many seconds lie between two looks at whether the server is still there."""
ASKED_AFTER, SILENT_AFTER, LOST_AFTER = 2, 5, 9
"""After how many such looks without a word it is asked, counts as unreachable, and the connection is given up."""
CONNECT_SECONDS = 2.5
"""How long one server may take to let this node in."""
FIRST_DELAY, LAST_DELAY = 0.05, 2.0
"""How many seconds lie between attempts to connect: twice as many after each, up to the last."""
WARNING_INTERVAL = 60.0
"""How many seconds lie at the least between two warnings."""
RENEWAL_INTERVAL = 5.0
"""How many seconds lie at the least between two connections that are given up as something is missing there."""
TURN = 256
"""How many subscriptions are made anew in one turn of the event loop."""


class Inbox:
    """Where the answers to one request after another come.

    Args:
        subject: its address.
        number: of its subscription.
        hear: is given each answer, and says whether it was the last.
    """

    def __init__(self, subject: str, number: int, hear: Callable[[Message], bool]) -> None:
        self.subject = subject
        self.number = number
        self.hear = hear
        self.last: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Link:
    """Sends, asks and hears; connects again for ever once the connection is lost.

    What is asked fails at once when the connection is lost. Whatever comes is handed over in the order in which
    the server sent it: what it said on a subject before it answered is heard before the answer.

    Args:
        location: the servers.
        settle: is awaited on each new connection, once all subscriptions are there again: only when it has
            returned is the broker available.
    """

    def __init__(self, location: Location, settle: Callable[[], Awaitable[None]]) -> None:
        self._location = location
        self._settle = settle
        self._connection: Connection | None = None
        self._subscribed: dict[str, tuple[int, Callable[[Message], None]]] = {}
        self._inbox = f"_INBOX.{secrets.token_hex(11)}."
        self._tokens = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._inboxes: dict[int, Inbox] = {}
        self._quiet = 0
        self._lost = asyncio.Event()
        self._available = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._discovered: tuple[tuple[str, int], ...] = ()
        self._next_warning = 0.0
        self._next_renewal = 0.0
        self.trouble = ""
        """Why there is no connection, "" where there is one."""

    @property
    def reachable(self) -> bool:
        """Whether the server can be reached now, as far as that is known."""
        return self._available.is_set() and self._quiet < SILENT_AFTER

    @property
    def max_payload(self) -> int:
        """How many bytes a message may have, with its headers."""
        return self._connection.max_payload if self._connection is not None else 1 << 20

    @property
    def server_version(self) -> tuple[int, int]:
        """Which version the server is of."""
        if self._connection is None:
            return (0, 0)
        version = self._connection.connected_server_version
        return (int(version.major), int(version.minor))

    async def open(self) -> None:
        """Connect for the first time.

        Raises:
            BrokerUnavailable: no server could be reached, or none of them is what is needed.
        """
        try:
            await self._connect()
        except BaseException:
            await self._disconnect()
            raise
        self._tasks = [asyncio.create_task(self._keep_up()), asyncio.create_task(self._watch())]
        self._tasks[0].add_done_callback(lambda _task: self._give_up())

    async def close(self) -> None:
        """Disconnect for good."""
        await self._disconnect()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._disconnect()  # a connection may have been made meanwhile
        self._subscribed.clear()

    def renew(self) -> None:
        """Connect anew, as what should be there is not; now and then at the most."""
        now = time.monotonic()
        if now >= self._next_renewal:
            self._next_renewal = now + RENEWAL_INTERVAL
            self._lost.set()

    async def available(self) -> None:
        """Wait until the broker can be reached, for as long as the URL says.

        Raises:
            Unreachable: it could not be until then.
        """
        if self._available.is_set():
            return
        if self._tasks and self._tasks[0].done():  # nothing connects any more
            raise self._unreachable()
        try:
            async with asyncio.timeout(self._location.timeout):
                await self._available.wait()
        except TimeoutError:
            raise self._unreachable() from None

    async def request(
        self, subject: str, data: bytes = b"", headers: dict[str, str] | None = None, seconds: float | None = None
    ) -> Message:
        """Send a message and wait for the answer.

        Args:
            subject: whom to ask.
            data: what to ask.
            headers: what to say beside it.
            seconds: how long to wait, what the URL says unless given.

        Raises:
            NobodyThere: nobody serves that subject.
            NoAnswer: none came in time.
            Unreachable: there is no connection, or it was lost meanwhile.
        """
        connection = self._connected()
        token = self._inbox + str(next(self._tokens))
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[token] = answer
        try:
            async with asyncio.timeout(self._location.timeout if seconds is None else seconds):
                await connection.send(subject, data, token, headers)
                message = await answer
        except TimeoutError:
            if connection.forbidden:
                raise BrokerUnavailable(f"{self._location} forbids it: {connection.forbidden}") from None
            raise NoAnswer(f"{self._location} does not answer") from None
        finally:
            self._waiting.pop(token, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # it was looked at
        if message.headers.get("Status") == "503" and not message.data:
            raise NobodyThere(f"{self._location} has no JetStream for {subject}")
        return message

    async def send(self, subject: str, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send a message that has no answer.

        Raises:
            Unreachable: there is no connection.
        """
        await self._connected().send(subject, data, "", headers)

    async def open_inbox(self, hear: Callable[[Message], bool]) -> Inbox:
        """Make an address for requests that have many answers. It ends with the connection.

        Args:
            hear: is given each answer, and says whether it was the last.

        Raises:
            Unreachable: there is no connection.
        """
        subject = f"{self._inbox[:-1]}-{next(self._tokens)}"
        number = await self._hear(self._connected(), subject)
        inbox = self._inboxes[number] = Inbox(subject, number, hear)
        return inbox

    async def close_inbox(self, inbox: Inbox) -> None:
        """Want no more answers."""
        if self._inboxes.get(inbox.number) is inbox:
            del self._inboxes[inbox.number]
            if self._connection is not None:
                await self._connection.ignore(inbox.number)

    async def converse(self, inbox: Inbox, subject: str, data: bytes) -> None:
        """Send a request whose answers come to an inbox, and wait for the last one.

        Raises:
            NoAnswer: it did not come in time.
            Unreachable: there is no connection, or the one that the inbox is for was lost.
        """
        if self._inboxes.get(inbox.number) is not inbox:
            raise self._unreachable()
        inbox.last = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._location.timeout):
                await self._connected().send(subject, data, inbox.subject)
                await inbox.last
        except TimeoutError:
            raise NoAnswer(f"{self._location} does not answer") from None

    async def subscribe(self, subject: str, hear: Callable[[Message], None]) -> None:
        """Hear a subject from now on, also on connections to come; a request that is answered is proof of it.

        Raises:
            Unreachable: there is no connection.
        """
        number = await self._hear(self._connected(), subject)
        self._subscribed[subject] = (number, hear)

    async def unsubscribe(self, subject: str) -> None:
        """Hear a subject no more."""
        number, _ = self._subscribed.pop(subject, (0, None))
        if number and self._connection is not None:
            await self._connection.ignore(number)

    async def _hear(self, connection: Connection, subject: str) -> int:
        try:
            async with asyncio.timeout(self._location.timeout):  # it waits where the server does not read
                return await connection.hear(subject)
        except TimeoutError:
            raise NoAnswer(f"{self._location} does not answer") from None

    def _connected(self) -> Connection:
        if self._connection is None:
            raise self._unreachable()
        return self._connection

    def _unreachable(self) -> Unreachable:
        return Unreachable(self.trouble or f"{self._location} is not connected")

    # What comes

    def _receive(self, message: Message) -> None:
        self._quiet = 0
        try:
            if message.subject.startswith(self._inbox):
                waiting = self._waiting.get(message.subject)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            elif (inbox := self._inboxes.get(message.number)) is not None:
                if inbox.hear(message) and not inbox.last.done():
                    inbox.last.set_result(None)
            elif (subscribed := self._subscribed.get(message.subject)) is not None:
                subscribed[1](message)
        except Exception:
            logger.exception("what came from NATS could not be taken")

    # The connection

    async def _connect(self) -> None:
        """Connect to whichever server lets this one in, subscribe, and settle."""
        from roomcast.rooms.brokers.nats.connection import Connection  # noqa: PLC0415 - it needs nats-py

        servers = list(dict.fromkeys([*self._location.servers, *self._discovered]))
        random.shuffle(servers)
        problem: BrokerUnavailable | None = None
        for host, port in servers:
            self._lost.clear()
            connection = Connection(self._receive, self._lost.set)
            try:
                async with asyncio.timeout(min(CONNECT_SECONDS, self._location.timeout)):
                    await connection.open(self._location, host, port)
                break
            except TimeoutError:
                problem = Unreachable(f"NATS at {host}:{port} does not answer")
            except BrokerUnavailable as error:
                problem = error
            await _end(connection)
        else:
            raise problem or self._unreachable()
        self._connection = connection
        self._quiet = 0
        await self._hear(connection, self._inbox + "*")
        for count, subject in enumerate(list(self._subscribed), 1):
            number = await self._hear(connection, subject)
            if subject in self._subscribed:
                self._subscribed[subject] = (number, self._subscribed[subject][1])
            else:
                await connection.ignore(number)
            if not count % TURN:
                await asyncio.sleep(0)
        found = ((url.hostname, url.port) for url in connection.discovered_servers)
        self._discovered = tuple((host, port) for host, port in found if host and port)[:64]
        await self._settle()
        if self._lost.is_set():
            raise self._unreachable()
        self.trouble = ""
        self._available.set()

    async def _disconnect(self) -> None:
        if (connection := self._let_go()) is not None:
            await _end(connection)

    def _let_go(self) -> Connection | None:
        """Fail all that waits for the connection, and give it, if there was one."""
        self._available.clear()
        connection, self._connection = self._connection, None
        waiting, self._waiting = self._waiting, {}
        inboxes, self._inboxes = self._inboxes, {}
        for answer in waiting.values():
            self._fail(answer)
        for inbox in inboxes.values():
            self._fail(inbox.last)
        return connection

    def _give_up(self) -> None:
        """Nothing connects any more: it was closed, or the event loop ends, and cancels all there is."""
        if (connection := self._let_go()) is not None:
            connection.abort()

    def _fail(self, answer: asyncio.Future[Message] | asyncio.Future[None]) -> None:
        if not answer.done():
            answer.set_exception(Unreachable(f"the connection to {self._location} was lost"))

    async def _keep_up(self) -> None:
        """Connect again whenever the connection is lost."""
        while True:
            await self._lost.wait()
            self.trouble = f"the connection to {self._location} was lost"
            await self._disconnect()
            self._warn()
            delay = FIRST_DELAY
            while not self._available.is_set():
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - nothing secret about it
                delay = min(delay * 2, LAST_DELAY)
                try:
                    await self._connect()
                except Exception as error:
                    self.trouble = str(error)
                    if not isinstance(error, BrokerUnavailable):
                        logger.exception("NATS could not be connected to")
                    await self._disconnect()
                    self._warn()
            logger.info("%s is connected again", self._location)

    async def _watch(self) -> None:
        """Give up a connection on which nothing comes. Each look counts once, however late it comes."""
        while True:
            await asyncio.sleep(TICK)
            self._quiet += 1
            connection = self._connection
            if connection is None or self._quiet < ASKED_AFTER:
                continue
            if self._quiet >= LOST_AFTER:
                connection.abort()
                self._lost.set()
            else:
                with suppress(Unreachable):
                    await connection.send(self._inbox + "0")

    def _warn(self) -> None:
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + WARNING_INTERVAL
            logger.warning("%s; trying again until it can be reached", self.trouble)


async def _end(connection: Connection) -> None:
    """Close a connection, also one whose server does not read."""
    with suppress(Exception):
        async with asyncio.timeout(0.5):
            await connection.close()
            return
    connection.abort()
    with suppress(Exception):
        async with asyncio.timeout(0.5):
            await connection.close()
