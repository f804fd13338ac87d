"""Traffic: publishers who publish, and members who listen, whatever happens to the nodes and the broker."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from websockets.exceptions import WebSocketException

from roomcast import Position
from tests.cluster.clients import Control, Refused, opened
from tests.faults.checker import Account, Acknowledged, Chapter, Seen, problems

if TYPE_CHECKING:
    from types import TracebackType

    from websockets.asyncio.client import ClientConnection

PACE = 0.02
"""Seconds between two publications of a publisher."""
BACK_OFF = 0.05
"""Seconds before a client that lost its node, or was refused, tries the next."""
REST = 20
"""How many publications such a one sees between two losses."""
PATIENCE = 45.0
"""Seconds until all must have recovered: a broker's client waits longer and longer between attempts."""

Urls = Callable[[], list[str]]
"""Gives where the nodes are that serve now: ws://HOST:PORT of each."""


class Traffic:
    """Members and publishers in rooms of their own, going on from `__aenter__` to `__aexit__`.

    Args:
        urls: where the nodes are.
        name: what the rooms' names begin with.
        rooms: how many rooms.
        members: how many members each has, without the restless ones.
        restless: how many members more lose their connection again and again, without any fault.
        publishers: how many publishers each has.
        padding: to how many characters each publication is filled up.
    """

    def __init__(
        self,
        urls: Urls,
        name: str,
        *,
        rooms: int = 4,
        members: int = 4,
        restless: int = 2,
        publishers: int = 2,
        padding: int = 0,
    ) -> None:
        names = [f"{name}-{number}" for number in range(rooms)]
        self.acknowledged: list[Acknowledged] = []
        self.rooms = names
        self.members = [
            Listener(f"{room}-m{number}", room, urls, number, restless=number >= members)
            for room in names
            for number in range(members + restless)
        ]
        self.publishers = [
            Publisher(f"{room}-p{number}", room, urls, number, padding, self.acknowledged)
            for room in names
            for number in range(publishers)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        # Who is not in yet need not see what is said: so all are, before anything is.
        self._tasks += [asyncio.create_task(member.listen()) for member in self.members]
        await self._until(lambda: all(member.account.chapters for member in self.members), "all members are in")
        self._tasks += [asyncio.create_task(publisher.publish()) for publisher in self.publishers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def flows(self, count: int = 5) -> float:
        """Wait until each publisher has published `count` more, and all members have seen all until then.

        Returns:
            How many seconds that took.
        """
        start = time.monotonic()
        wanted = {publisher: publisher.count + count for publisher in self.publishers}
        await self._until(
            lambda: all(publisher.count >= least for publisher, least in wanted.items()),
            "all publishers publish",
        )
        await self._caught_up()
        return time.monotonic() - start

    async def finish(self, *, lossless: bool = True) -> str:
        """End the publishing, wait until all have seen all, and check it.

        Returns:
            How much was published and seen, in words.

        Raises:
            AssertionError: something was missed, repeated or out of order.
        """
        for publisher in self.publishers:
            publisher.stop()
        await self._until(lambda: all(publisher.is_done for publisher in self.publishers), "all publishers end")
        late = ""
        try:
            await self._caught_up()
        except AssertionError as error:
            late = f"\n{error}"  # the checker says it better
        accounts = [member.account for member in self.members]
        found = problems(self.acknowledged, accounts, lossless=lossless)
        assert not found, "\n".join(found) + late
        assert not late, late
        seen = sum(len(chapter.seen) for account in accounts for chapter in account.chapters)
        retries = sum(publisher.retries for publisher in self.publishers)
        losses = sum(member.losses for member in self.members)
        return f"{len(self.acknowledged)} published, {retries} retries, {seen} seen, {losses} connections lost"

    async def _caught_up(self) -> None:
        newest: dict[str, Position] = {}
        for room, _, position in self.acknowledged:
            known = newest.get(room)
            # Between two lives of a room, offsets say nothing: then what was acknowledged last is the newest.
            if known is None or known.numbering != position.numbering or known.offset < position.offset:
                newest[room] = position
        behind: list[Listener] = []

        def all_are() -> bool:
            behind[:] = [member for member in self.members if not member.knows(newest.get(member.account.room))]
            return not behind

        await self._until(
            all_are, lambda: f"{[member.account.member for member in behind]} have seen all of {newest}"
        )

    async def _until(self, condition: Callable[[], bool], what: str | Callable[[], str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            for task in self._tasks:
                if task.done():
                    task.result()
            if time.monotonic() > deadline:
                told = what if isinstance(what, str) else what()
                raise AssertionError(f"not within {PATIENCE:g} s: {told}; {self._state()}")
            # What is waited for is the state of many clients, and has no event of its own.
            await asyncio.sleep(0.01)

    def _state(self) -> str:
        away = sum(not member.is_in for member in self.members)
        stuck = {publisher.name: publisher.trouble for publisher in self.publishers if publisher.trouble}
        return f"{away} of {len(self.members)} members are out, publishers in trouble: {stuck}"


class Listener:
    """A member that stays in its room: whenever it loses its connection, it resumes on the next node.

    Args:
        name: its name.
        room: its room.
        urls: where the nodes are.
        number: which node it begins with.
        restless: whether it loses its connection now and then, whatever happens.
    """

    def __init__(self, name: str, room: str, urls: Urls, number: int, *, restless: bool) -> None:
        self.account = Account(name, room)
        self.losses = 0
        self.is_in = False
        self.url = ""
        self._urls = urls
        self._turn = number
        self.restless = restless

    def knows(self, position: Position | None) -> bool:
        """Whether it has seen the room up to a position."""
        newest = self.account.chapters[-1].newest
        return position is None or (newest.numbering == position.numbering and newest.offset >= position.offset)

    async def listen(self) -> None:
        """Listen until cancelled."""
        while True:
            with suppress(ConnectionError, WebSocketException):
                ws = await opened(self._address())
                try:
                    await self._read(ws)
                finally:
                    self.losses += self.is_in
                    self.is_in = False
                    await _drop(ws)
            self._turn += 1
            await asyncio.sleep(BACK_OFF)

    def _address(self) -> str:
        chapters = self.account.chapters
        since = {"since": str(chapters[-1].newest)} if chapters else {}
        query = {"room": self.account.room, "name": self.account.member, **since}
        self.url = _choose(self._urls(), self._turn)
        return f"{self.url}/member?{urlencode(query)}"

    async def _read(self, ws: ClientConnection) -> None:
        welcome = json.loads(await ws.recv())
        if not welcome["recovered"]:
            self.account.chapters.append(Chapter(Position.parse(welcome["at"])))
        self.is_in = True
        seen = self.account.chapters[-1].seen
        come = len(seen)
        async for frame in ws:
            said: dict[str, Any] = json.loads(frame)
            seen.append(Seen(Position.parse(said["at"]), said["data"]))
            if self.restless and len(seen) - come == REST:
                return


class Publisher:
    """Publishes one after the other, each until it is acknowledged: with the same key, whichever node takes it."""

    def __init__(
        self, name: str, room: str, urls: Urls, number: int, padding: int, acknowledged: list[Acknowledged]
    ) -> None:
        self.name = name
        self.count = 0
        self.retries = 0
        self.trouble = ""
        self.is_done = False
        self._room = room
        self._urls = urls
        self._turn = number
        self._padding = padding
        self._acknowledged = acknowledged
        self._numbers = itertools.count(1)
        self._is_stopping = False

    def stop(self) -> None:
        """Publish nothing new."""
        self._is_stopping = True

    async def publish(self) -> None:
        """Publish until stopped, and what was begun until it is acknowledged."""
        data = self._next()
        while not self.is_done:
            try:
                async with Control(_choose(self._urls(), self._turn)) as node:
                    while not self._is_stopping or self.trouble:
                        at = await node.call("publish", room=self._room, data=data, key=data[:100])
                        self._acknowledged.append(Acknowledged(self._room, data, Position.parse(at)))
                        self.count += 1
                        self.trouble = ""
                        data = self._next()
                        await asyncio.sleep(PACE)
                    self.is_done = True
            except (ConnectionError, Refused, TimeoutError) as error:
                self.trouble = str(error) or type(error).__name__
                self.retries += 1
                self._turn += 1
                await asyncio.sleep(BACK_OFF)

    def _next(self) -> str:
        return f"{self.name}-{next(self._numbers)}-".ljust(self._padding, "x")


def _choose(urls: list[str], turn: int) -> str:
    if not urls:
        raise ConnectionError("no node serves")
    return urls[turn % len(urls)]


async def _drop(ws: ClientConnection) -> None:
    """End a connection without waiting for a node that may be gone."""
    ws.transport.abort()
    await ws.wait_closed()
