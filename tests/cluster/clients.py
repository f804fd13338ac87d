"""Clients of the nodes that serve `tests.cluster.app`."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

DEADLINE = 20.0
"""Seconds that a wait may take: far more than it needs, on a loaded machine too."""


class Refused(Exception):
    """The node answered with an error; its name comes first."""


async def opened(url: str) -> ClientConnection:
    """Connect, as a client that reads whatever comes as soon as it comes.

    Raises:
        ConnectionError: it cannot, for whatever reason.
    """
    try:
        return await connect(url, proxy=None, open_timeout=DEADLINE, ping_interval=None, max_queue=None)
    except (OSError, EOFError, WebSocketException) as error:
        raise ConnectionError(f"cannot connect to {url}: {error}") from error


class Control:
    """Asks a node, any number of questions at a time.

    Args:
        url: where the node is, ws://HOST:PORT.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def __aenter__(self) -> Self:
        self._ws = await opened(f"{self._url}/control")
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._ws.close()
        await self._reading

    async def call(self, call: str, **arguments: Any) -> Any:
        """Ask, and wait for the answer.

        Raises:
            Refused: the node answered with an error.
            ConnectionError: the connection was lost before the answer, and nobody knows.
        """
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            if self._reading.done():
                raise ConnectionError("the node has gone")
            with suppress(WebSocketException):  # then it is not answered
                await self._ws.send(json.dumps({"id": number, "call": call, "with": arguments}))
            async with asyncio.timeout(DEADLINE):
                return await answer
        finally:
            del self._waiting[number]

    async def _read(self) -> None:
        with suppress(WebSocketException):
            async for frame in self._ws:
                said = json.loads(frame)
                answer = self._waiting.get(said["id"])
                if answer is None or answer.done():
                    continue
                if "error" in said:
                    answer.set_exception(Refused(f"{said['error']}: {said['text']}"))
                else:
                    answer.set_result(said["result"])
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the node went before it answered"))


class Visitor:
    """A member of a room, for tests that look at every message.

    Attributes:
        welcome: what the node said first.
    """

    def __init__(self, url: str, room: str, *, notices: bool = False, **query: str) -> None:
        flags = {"notices": ""} if notices else {}
        self._url = f"{url}/member?{urlencode({'room': room, **query, **flags})}"
        self.welcome: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        self._ws = await opened(self._url)
        try:
            self.welcome = await self.receive()
        except BaseException:
            self.vanish()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._ws.close()

    async def receive(self) -> Any:
        """Wait for the next message: JSON, or a text as it is."""
        async with asyncio.timeout(DEADLINE):
            frame = await self._ws.recv()
        try:
            return json.loads(frame)
        except ValueError:
            return frame

    async def hears(self, count: int = 1) -> list[str]:
        """Give the data of the next publications."""
        return [(await self.receive())["data"] for _ in range(count)]

    async def leave(self) -> None:
        """Close, and wait until the node has closed, too."""
        await self._ws.close()

    def vanish(self) -> None:
        """Lose the connection, without a close frame."""
        self._ws.transport.abort()

    async def closed(self) -> tuple[int | None, str]:
        """Wait until the node closes, and say with what."""
        async with asyncio.timeout(DEADLINE):
            await self._ws.wait_closed()
        return self._ws.close_code, self._ws.close_reason or ""
