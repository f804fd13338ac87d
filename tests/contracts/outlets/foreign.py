"""Outlets on the `send` of servers of others: each a program of its own, with real sockets."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import socket
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast
from urllib.parse import quote

from tests.contracts.outlets.served import SIZE
from tests.contracts.outlets.sockets import RECEIVE_BUFFER, SocketWire
from tests.programs import Program
from tests.rooms.guests import DEADLINE, until
from tests.server.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roomcast.backlog import Recipient
    from roomcast.protocol.prepared import PreparedMessage
    from roomcast.rooms import Outlet
    from tests.contracts.outlets.wire import Wire

APP = "tests.contracts.outlets.served:application"
ROOT = Path(__file__).parents[3]


class ServerProgram:
    """A server of others.

    Args:
        name: what it is called.
        command: its module, and its arguments, with `{port}`.
    """

    def __init__(self, name: str, *command: str) -> None:
        self.name = name
        self._command = command

    @contextmanager
    def running(self) -> Iterator[tuple[str, int]]:
        """Run it, and give its address."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        command = [part.format(port=port) for part in self._command]
        with Program(sys.executable, "-m", *command, cwd=ROOT) as program:
            deadline = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                except ConnectionRefusedError:
                    assert program.returncode is None, program.output
                    assert time.monotonic() < deadline, program.output
                    time.sleep(0.01)
                else:
                    break
            yield "127.0.0.1", port


class RemoteOutlet:
    """An `Outlet` in another process: each call is done there, and waited for here."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._keys = itertools.count()
        self._recipients: dict[int, Recipient] = {}
        self._callbacks: list[Callable[[int, str], None]] = []
        self._queued_bytes = 0
        self._closed = False
        self.is_over = False

    def call(self, name: str, *arguments: object) -> Any:
        request = pickle.dumps((name, arguments))
        self._control.sendall(SIZE.pack(len(request)) + request)
        result, (queued, closed, over, calls, drops) = pickle.loads(
            self._exactly(SIZE.unpack(self._exactly(4))[0])
        )
        self._queued_bytes, self._closed, self.is_over = queued, closed, over
        for key, count in drops.items():
            for _ in range(count):
                self._recipients[key].drop()
        for called in calls:
            for callback in self._callbacks:
                callback(*called)
        return result

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self._control.recv(size - len(found))
            assert more, "the app has ended"
            found += more
        return found

    @property
    def queued_bytes(self) -> int:
        self.call("look")
        return self._queued_bytes

    @property
    def closed(self) -> bool:
        self.call("look")
        return self._closed

    def offer(self, message: PreparedMessage, recipient: Recipient | None = None) -> bool:
        return self.offer_all([message], recipient)[0]

    def offer_all(self, messages: list[PreparedMessage], recipient: Recipient | None = None) -> list[bool]:
        key = policy = None
        if recipient is not None:
            key, policy = id(recipient), recipient.policy
            self._recipients[key] = recipient
        found: list[bool] = self.call("offer", [message.data for message in messages], key, policy)
        return found

    def close(self, code: int, reason: str = "") -> None:
        self.call("close", code, reason)

    def on_close(self, callback: Callable[[int, str], None]) -> None:
        if not self._callbacks:
            self.call("on_close")
        self._callbacks.append(callback)

    async def drained(self) -> None:
        await self._wait("drained")

    async def finish(self) -> None:
        await self._wait("finish")

    async def _wait(self, what: str) -> None:
        key = next(self._keys)
        self.call("start", key, what)
        try:
            while not self.call("is_done", key):  # noqa: ASYNC110 - it is asked for
                await asyncio.sleep(0)
        finally:
            self.call("cancel", key)


class ForeignWire(SocketWire):
    """An `AsgiOutlet` on a server of others."""

    program: ClassVar[ServerProgram]

    def __init__(self, address: tuple[str, int], peer: Peer, control: socket.socket) -> None:
        super().__init__(peer)
        self._address = address
        self._control = control
        self._others: list[ForeignWire] = []
        self._remote = RemoteOutlet(control)
        self.outlet: Outlet = cast("Outlet", self._remote)

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Self:
        with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
            path = f"{directory}/control"
            listener.bind(path)
            listener.listen()
            listener.settimeout(DEADLINE)
            peer = await Peer.ask(address, quote(path), receive_buffer=RECEIVE_BUFFER)
            await peer.opened()
            control, _ = await asyncio.to_thread(listener.accept)
        control.settimeout(DEADLINE)
        return cls(address, peer, control)

    async def another(self) -> Wire:
        wire = await self.open(self._address)
        self._others.append(wire)
        return wire

    async def settled(self) -> None:
        for _ in range(20):
            self._remote.call("look")
            await asyncio.sleep(0)

    async def told_of_loss(self) -> None:
        """As rooms do."""
        await until(self._app_has_seen_it)
        self._remote.call("lose")

    def _app_has_seen_it(self) -> bool:
        self._remote.call("look")
        return self._remote.is_over

    async def end(self) -> None:
        await super().end()
        for other in self._others:
            await other.end()
        self._control.close()


def _uvicorn(websockets: str) -> ServerProgram:
    return ServerProgram(
        f"uvicorn-{websockets}",
        *("uvicorn", APP, "--port", "{port}", "--ws", websockets, "--lifespan", "off", "--log-level", "warning"),
    )


class UvicornSansio(ForeignWire):
    program = _uvicorn("websockets-sansio")


class UvicornWsproto(ForeignWire):
    program = _uvicorn("wsproto")


class Hypercorn(ForeignWire):
    tells_of_loss = False
    program = ServerProgram("hypercorn", "hypercorn", APP, "--bind", "127.0.0.1:{port}", "--log-level", "warning")


class Granian(ForeignWire):
    tells_of_loss = False
    program = ServerProgram(
        "granian", *("granian", APP, "--port", "{port}", "--interface", "asginl", "--log-level", "warning")
    )


class Daphne(ForeignWire):
    holds_back = False
    tells_of_loss = False
    sends_empty_messages = False
    sends_reasons = False
    program = ServerProgram("daphne", "daphne", APP, "--port", "{port}", "--verbosity", "0")
