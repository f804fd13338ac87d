from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from roomcast import Rooms, RoomsClosed
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.rooms.retention import BY_DEFAULT, Retentions
from roomcast.testing import connect, lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from roomcast.rooms.brokers.base import Deliver


class Server:
    """A server's side of the lifespan."""

    def __init__(self, app: ASGIApp) -> None:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self.task = asyncio.ensure_future(app({"type": "lifespan"}, self._to_app.get, self._from_app.put))

    async def ask(self, what: str) -> Message:
        """Send startup or shutdown, and wait for the answer."""
        self._to_app.put_nowait({"type": f"lifespan.{what}"})
        return await asyncio.wait_for(self._from_app.get(), 5)

    async def returned(self) -> bool:
        """Whether the app has returned, and left no other answer."""
        await asyncio.wait_for(self.task, 5)
        return self._from_app.empty()


@pytest.fixture
def rooms() -> Rooms:
    return Rooms("memory://")


async def is_open(rooms: Rooms) -> bool:
    try:
        await rooms.active()
    except RoomsClosed:
        return False
    return True


async def is_served(rooms: Rooms, app: ASGIApp) -> bool:
    """Whether the app, wrapped, starts with open rooms, keeps them for its life, and stops with closed ones."""
    server = Server(rooms.wrap(app))
    started = await server.ask("startup") == {"type": "lifespan.startup.complete"}
    for _ in range(10):
        await asyncio.sleep(0)
    opened = await is_open(rooms)
    running = not server.task.done()
    stopped = await server.ask("shutdown") == {"type": "lifespan.shutdown.complete"}
    closed = not await is_open(rooms)
    return started and opened and running and stopped and closed and await server.returned()


# Apps of all kinds


async def test_an_app_with_its_own_lifespan_has_the_rooms_open_in_it(rooms: Rooms) -> None:
    seen: list[bool] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            kind = (await receive())["type"]
            seen.append(await is_open(rooms))
            await send({"type": f"{kind}.complete"})

    assert await is_served(rooms, app)
    assert seen == [True, True]


async def test_an_app_that_refuses_the_lifespan_is_served(rooms: Rooms) -> None:
    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        raise NotImplementedError(scope["type"])

    assert await is_served(rooms, app)


async def test_an_app_that_returns_from_the_lifespan_at_once_is_served(rooms: Rooms) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        return

    assert await is_served(rooms, app)


async def test_an_app_that_takes_the_startup_for_something_else_is_served_and_told_on(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        event = await receive()
        if event["type"] != "websocket.connect":
            raise ValueError("what is this?")

    assert await is_served(rooms, app)
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "what is this?" in caplog.text
    assert record.name == "roomcast.rooms"


async def test_an_app_that_returns_after_its_startup_keeps_the_rooms_until_the_shutdown(rooms: Rooms) -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})

    assert await is_served(rooms, app)


async def test_an_app_that_raises_while_it_runs_keeps_the_rooms_and_is_told_on(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise ZeroDivisionError("in the middle")

    assert await is_served(rooms, app)
    assert "in the middle" in caplog.text


async def test_an_app_that_raises_at_the_shutdown_is_told_on_and_the_rooms_are_closed(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise ZeroDivisionError("at the end")

    assert await is_served(rooms, app)
    assert "at the end" in caplog.text


@pytest.mark.parametrize("application", [Starlette(), FastAPI()], ids=["starlette", "fastapi"])
async def test_frameworks_are_served(rooms: Rooms, application: ASGIApp) -> None:
    assert await is_served(rooms, application)


async def test_the_apps_own_lifespan_lies_within_the_rooms(rooms: Rooms) -> None:
    seen: list[bool] = []

    @contextlib.asynccontextmanager
    async def own(_app: Starlette) -> AsyncIterator[None]:
        seen.append(await is_open(rooms))
        yield
        seen.append(await is_open(rooms))

    assert await is_served(rooms, Starlette(lifespan=own))
    assert seen == [True, True]


async def test_the_rooms_lifespan_serves_a_starlette_app(rooms: Rooms) -> None:
    async with lifespan(Starlette(lifespan=rooms.lifespan)):
        assert await is_open(rooms)
    assert not await is_open(rooms)


async def test_other_scopes_go_to_the_app_untouched(rooms: Rooms) -> None:
    called: list[tuple[Scope, Receive, Send]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        called.append((scope, receive, send))

    async def receive() -> Message:
        raise AssertionError

    async def send(_event: Message) -> None:
        raise AssertionError

    scope = {"type": "http"}
    await rooms.wrap(app)(scope, receive, send)
    [(given, *rest)] = called
    assert given is scope
    assert rest == [receive, send]


async def test_the_state_that_the_app_leaves_reaches_the_server(rooms: Rooms) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["db"] = "open"
        for _ in range(2):
            await send({"type": f"{(await receive())['type']}.complete"})

    state: dict[str, object] = {}
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    for what in ("startup", "shutdown"):
        to_app.put_nowait({"type": f"lifespan.{what}"})
    await rooms.wrap(app)({"type": "lifespan", "state": state}, to_app.get, from_app.put)
    assert state == {"db": "open"}


async def test_a_wrapped_app_serves_members(rooms: Rooms) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            async with rooms.join("r", (scope, receive, send)) as member:
                async for message in member:
                    await rooms.publish("r", message)

    wrapped = rooms.wrap(app)
    async with lifespan(wrapped), connect(wrapped) as client:
        await client.send("hi")
        assert await client.receive() == "hi"


# Failures


async def test_an_app_whose_startup_fails_fails_and_the_rooms_are_closed(rooms: Rooms) -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    server = Server(rooms.wrap(app))
    assert await server.ask("startup") == {"type": "lifespan.startup.failed", "message": "no database"}
    assert await server.returned()
    assert not await is_open(rooms)


async def test_a_framework_whose_startup_fails_fails_once(rooms: Rooms, caplog: pytest.LogCaptureFixture) -> None:
    @contextlib.asynccontextmanager
    async def failing(_app: Starlette) -> AsyncIterator[None]:
        raise ZeroDivisionError("no database")
        yield

    server = Server(rooms.wrap(Starlette(lifespan=failing)))
    answer = await server.ask("startup")
    assert answer["type"] == "lifespan.startup.failed"
    assert "no database" in answer["message"]
    assert await server.returned()
    assert not await is_open(rooms)
    assert caplog.records == []


async def test_a_framework_whose_shutdown_fails_has_the_rooms_closed(rooms: Rooms) -> None:
    @contextlib.asynccontextmanager
    async def failing(_app: Starlette) -> AsyncIterator[None]:
        yield
        raise ZeroDivisionError("a stuck database")

    server = Server(rooms.wrap(Starlette(lifespan=failing)))
    await server.ask("startup")
    answer = await server.ask("shutdown")
    assert answer["type"] == "lifespan.shutdown.failed"
    assert "a stuck database" in answer["message"]
    assert await server.returned()
    assert not await is_open(rooms)


class Broken(MemoryBroker):
    """A broker that fails to open, or to close."""

    def __init__(self, *, opens: bool) -> None:
        super().__init__()
        self._opens = opens

    async def open(self, deliver: Deliver, retentions: Retentions = BY_DEFAULT, **told: Any) -> None:
        if not self._opens:
            raise ConnectionRefusedError("no broker there")
        await super().open(deliver, retentions, **told)

    async def close(self) -> None:
        raise ConnectionResetError("the broker has gone")


async def test_a_broker_that_does_not_open_fails_the_startup_and_the_app_is_not_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    called: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        called.append(scope["type"])

    server = Server(Rooms(Broken(opens=False)).wrap(app))
    assert await server.ask("startup") == {"type": "lifespan.startup.failed", "message": "no broker there"}
    assert await server.returned()
    assert called == []
    assert "the app cannot start" in caplog.text


@pytest.mark.parametrize("own", [True, False])
async def test_a_broker_that_does_not_close_fails_the_shutdown(
    own: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        if own:
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})

    server = Server(Rooms(Broken(opens=True)).wrap(app))
    await server.ask("startup")
    assert await server.ask("shutdown") == {"type": "lifespan.shutdown.failed", "message": "the broker has gone"}
    assert await server.returned()
    assert "the app cannot stop as it should" in caplog.text


async def test_a_server_that_gives_up_on_the_lifespan_has_the_rooms_closed(rooms: Rooms) -> None:
    server = Server(rooms.wrap(Starlette()))
    await server.ask("startup")
    server.task.cancel()
    await asyncio.wait([server.task])
    assert server.task.cancelled()
    assert not await is_open(rooms)
