"""Reconnecting: a connection that is had again whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.redis.connections import LOST, let_go, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio.connection import AbstractConnection

    from roomcast.rooms.brokers.redis.connections import Connect
    from roomcast.rooms.brokers.redis.url import Location

logger = logging.getLogger("roomcast.rooms")

FIRST_DELAY = 0.05
LONGEST_DELAY = 5.0
"""Seconds between two attempts to connect: twice as many after each that fails, up to this, half by chance."""
LOOKS = 4
"""How often in each timeout it is looked at what has taken too long."""
WARNING_INTERVAL = 60.0
"""How many seconds lie between two warnings at the least."""


class Trouble:
    """Tells of a Redis that cannot be reached, once a minute at the most, and when it is back.

    Args:
        location: which one.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._next = 0.0
        self._told = False

    def tell(self, error: BaseException) -> BrokerUnavailable:
        """Note that it cannot be reached, and give the error for those who ask something of it."""
        unavailable = error if isinstance(error, BrokerUnavailable) else refusal(self._location, error)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + WARNING_INTERVAL
            self._told = True
            logger.warning("the broker is unavailable, and tried again until it is back: %s", unavailable)
        return unavailable

    def over(self) -> None:
        """Note that it is there again."""
        if self._told:
            self._told = False
            logger.warning("the broker is back: %s", self._location)


class Reconnecting(ABC):
    """A connection to one server. It is opened by a task of its own, which never gives up.

    Args:
        connect: opens one.
        trouble: is told where that fails.
        timeout: after how many seconds without an answer the connection counts as lost.
        connected: is called when there is a connection.
        failed: is called after each connection that was lost, or could not be had.
    """

    def __init__(
        self,
        connect: Connect,
        trouble: Trouble,
        timeout: float,
        *,
        connected: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._trouble = trouble
        self._timeout = timeout
        self._connected = connected
        self._failed = failed
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._up = asyncio.Event()
        self._down_since = 0.0
        self._problem = BrokerUnavailable("the broker is not connected")

    @property
    def reachable(self) -> bool:
        """Whether there is a connection, as far as can be known."""
        return self._up.is_set()

    def start(self) -> None:
        """Connect, in a task of its own."""
        self._down_since = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._keep())
        self._task.add_done_callback(lambda _task: self._ended())
        self._look_again()

    async def wait_until_up(self) -> None:
        """Wait until there is a connection.

        Raises:
            BrokerUnavailable: there is none in time.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._up.wait()
        except TimeoutError:
            raise self._problem from None

    async def stop(self) -> None:
        """Disconnect."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def hurry(self) -> None:
        """Try to connect now, and not later: the server is there."""
        if not self._up.is_set():
            self._hurry.set()

    def drop(self) -> None:
        """End the connection, if there is one, so that another one is opened."""
        for task in self._tasks:
            task.cancel()

    @property
    def has_ended(self) -> bool:
        """Whether nothing connects any more: it was stopped, or the event loop ends, and cancels all there is."""
        return self._task is not None and self._task.done()

    def _ended(self) -> None:  # noqa: B027 - a subscriber has nobody to tell
        """Nothing connects any more."""

    @abstractmethod
    async def _greet(self, connection: AbstractConnection) -> None:
        """Ask what must be known, and say what must be said, on a new connection."""

    @abstractmethod
    async def _read(self, connection: AbstractConnection) -> None:
        """Take what comes, until the connection is over."""

    @abstractmethod
    async def _write(self, connection: AbstractConnection) -> None:
        """Send what is to be sent, until the connection is over."""

    @abstractmethod
    def _look(self, now: float) -> None:
        """See, now and then, what has taken too long."""

    @abstractmethod
    def _over(self) -> None:
        """Note that a connection is over."""

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._timeout / LOOKS, self._look_again)
        self._look(loop.time())

    async def _keep(self) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                connection = await self._connect()
                try:
                    async with asyncio.timeout(self._timeout):
                        await self._greet(connection)
                    delay = FIRST_DELAY
                    await self._use(connection)
                finally:
                    await let_go(connection)
            except (*LOST, BrokerUnavailable) as error:
                self._problem = self._trouble.tell(error)
                error.__traceback__ = None  # it leads to the error again, by a frame
            self._failed()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay * random.uniform(0.5, 1.0)):  # noqa: S311 - not all at once
                    await self._hurry.wait()
            self._hurry.clear()
            delay = min(delay * 2, LONGEST_DELAY)

    async def _use(self, connection: AbstractConnection) -> None:
        """Use a connection until it is over, and raise why it is."""
        self._tasks = asyncio.create_task(self._read(connection)), asyncio.create_task(self._write(connection))
        self._up.set()
        self._connected()
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._up.clear()
            self._down_since = asyncio.get_running_loop().time()
            tasks, self._tasks = self._tasks, ()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            self._over()
        raise next((error for error in ended if isinstance(error, Exception)), TimeoutError())
