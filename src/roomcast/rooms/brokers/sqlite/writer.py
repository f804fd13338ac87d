"""Writer: the one thread that touches the file, and the way there and back."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from typing import TYPE_CHECKING

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.sqlite.requests import Publish, Read

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.rooms.brokers.sqlite.file import RoomsFile
    from roomcast.rooms.brokers.sqlite.requests import Request

logger = logging.getLogger("roomcast.rooms")


class Writer:
    """Has a thread do what is asked of a file: all that was asked while it was busy, in one go.

    Args:
        file: the file.
        complete: called in the event loop with the requests that were done, in the order in which they were made.
        loop: the event loop.
    """

    def __init__(
        self, file: RoomsFile, complete: Callable[[list[Request]], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._file = file
        self._complete = complete
        self._loop = loop
        self._asked: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()
        # An app that ends without closing its rooms does not have to wait for it: what is committed is committed.
        self._thread = threading.Thread(target=self._run, name="roomcast-sqlite", daemon=True)

    async def start(self) -> None:
        """Open the file.

        Raises:
            BrokerInUse, ConfigurationError, BrokerUnavailable: as `RoomsFile.open`.
        """
        self._thread.start()
        try:
            await self._opened
        except asyncio.CancelledError:
            self._asked.put(None)
            raise

    def ask(self, request: Request) -> None:
        """Have something done."""
        self._asked.put(request)

    async def stop(self) -> None:
        """Wait until all is done that was asked for, and the file is closed."""
        self._asked.put(None)
        await self._closed

    def _run(self) -> None:
        try:
            try:
                self._file.open()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is who opened it that hears of it
                self._loop.call_soon_threadsafe(_set, self._opened, error)
                return
            self._loop.call_soon_threadsafe(_set, self._opened, None)
            try:
                self._work()
            finally:
                self._file.close()
            self._loop.call_soon_threadsafe(_set, self._closed, None)
        except RuntimeError:
            logger.debug("the event loop is closed, and nobody waits for the file any more")

    def _work(self) -> None:
        going_on = True
        while going_on:
            requests = [self._asked.get()]
            while not self._asked.empty():
                requests.append(self._asked.get())
            going_on = None not in requests
            done = [request for request in requests if request is not None]
            try:
                self._file.process(done)
            except Exception as error:
                logger.exception("the broker failed")
                _give_up(done, error)
            self._loop.call_soon_threadsafe(self._complete, done)


def _give_up(requests: list[Request], error: Exception) -> None:
    for request in requests:
        if isinstance(request, Publish | Read):
            request.error = BrokerUnavailable(f"the broker failed: {error!r}")
            if isinstance(request, Publish):
                request.carried, request.newest = False, None


def _set(future: asyncio.Future[None], error: Exception | None) -> None:
    if not future.done():
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
