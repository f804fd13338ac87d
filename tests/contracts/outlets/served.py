"""The app that a server of others runs: each connection gets an outlet, which a test plays from its own process.

The WebSocket's path is that of a Unix socket, at which the test waits: it sends what the outlet is to do, and gets
back what came of it, and what the outlet called back with meanwhile.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from roomcast.protocol.prepared import PreparedMessage
from roomcast.rooms import AsgiOutlet
from tests.contracts.outlets.wire import BOUND

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from roomcast.backlog import SlowPolicy

SIZE = struct.Struct("!I")


class Member:
    """For whom a message is: what the test's recipient is, here."""

    def __init__(self, policy: SlowPolicy) -> None:
        self.policy = policy
        self.drops = 0

    def drop(self) -> None:
        self.drops += 1


class Played:
    """An outlet, and what it does when a test says so."""

    def __init__(self, send: Send) -> None:
        self.outlet = AsgiOutlet(send, bound=BOUND)
        self.is_over = False
        self._members: dict[int, Member] = {}
        self._calls: list[tuple[int, str]] = []
        self._tasks: dict[int, asyncio.Future[object]] = {}

    def offer(self, messages: list[str | bytes], key: int | None, policy: SlowPolicy | None) -> list[bool]:
        """Offer messages, all in one turn of the event loop."""
        member = None
        if key is not None and policy is not None:
            member = self._members.setdefault(key, Member(policy))
        return [self.outlet.offer(PreparedMessage(data), member) for data in messages]

    def close(self, code: int, reason: str) -> None:
        self.outlet.close(code, reason)

    def on_close(self) -> None:
        self.outlet.on_close(lambda code, reason: self._calls.append((code, reason)))

    def lose(self) -> None:
        self.outlet.lose()

    def start(self, key: int, what: str) -> None:
        """Begin to wait for what takes time: `drained` or `finish`."""
        self._tasks[key] = asyncio.ensure_future(getattr(self.outlet, what)())

    def is_done(self, key: int) -> bool:
        return self._tasks[key].done()

    def cancel(self, key: int) -> None:
        self._tasks.pop(key).cancel()

    def look(self) -> None:
        """Only tell how things are."""

    def news(self) -> tuple[int, bool, bool, list[tuple[int, str]], dict[int, int]]:
        """Tell how the outlet is, and what was called back since it was told last."""
        calls, self._calls = self._calls, []
        drops = {key: member.drops for key, member in self._members.items()}
        for member in self._members.values():
            member.drops = 0
        return self.outlet.queued_bytes, self.outlet.closed, self.is_over, calls, drops


async def play(played: Played, path: str) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        while True:
            (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
            name, arguments = pickle.loads(await reader.readexactly(size))
            result: Any = getattr(played, name)(*arguments)
            answer = pickle.dumps((result, played.news()))
            writer.write(SIZE.pack(len(answer)) + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "websocket":
        raise ValueError("only WebSockets")
    await receive()
    await send({"type": "websocket.accept"})
    played = Played(send)

    async def listen() -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass
        played.is_over = True

    def stop(_code: int, _reason: str) -> None:
        listening.cancel()

    listening = asyncio.ensure_future(listen())
    # As rooms do. There is a server that sends no close frame while somebody receives.
    played.outlet.on_close(stop)
    try:
        await play(played, unquote(scope["path"]))
    finally:
        listening.cancel()
        await asyncio.wait([listening])
