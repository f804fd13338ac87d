from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from roomcast import ConfigurationError, OutOfOrder, Rooms
from roomcast.rooms.lifespan import with_lifespan
from roomcast.testing import connect, lifespan
from tests.rooms.frameworks import apps
from tests.rooms.guests import until

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


def test_no_framework_is_imported_that_is_not_there() -> None:
    code = (
        "import asyncio, sys, roomcast\n"
        "from roomcast.rooms.faces import as_websocket\n"
        "try: as_websocket(object())\n"
        "except TypeError: print(sorted(sys.modules.keys() & {'litestar', 'quart', 'channels', 'fastapi'}))"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == "[]\n"


async def test_quart_is_refused_where_its_disconnect_could_not_be_seen(rooms: Rooms) -> None:
    from quart import Quart, websocket  # noqa: PLC0415

    application = Quart(__name__)
    refusals: list[str] = []

    async def endpoint() -> None:
        with pytest.raises(ConfigurationError) as refused:
            await rooms.enter("r", websocket)
        refusals.append(str(refused.value))
        await websocket.accept()

    application.websocket("/")(endpoint)
    await connect(application, "/").open()  # type: ignore[arg-type]
    await until(lambda: refusals)
    [refusal] = refusals
    assert refusal == (
        "Quart receives by itself, and this server tells rooms nothing: that a connection ends can be seen only "
        "around the app, by `app.asgi_app = rooms.wrap(app.asgi_app)`"
    )


async def test_a_consumer_is_refused_where_its_disconnect_could_not_be_seen(rooms: Rooms) -> None:
    apps.configure_django()
    from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: PLC0415

    class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            with pytest.raises(ConfigurationError, match=r"`application = rooms\.wrap\(application\)`"):
                await rooms.enter("r", self)
            await self.accept()

    async with connect(Consumer.as_asgi()) as client:
        assert client.accepted


async def test_a_consumer_is_called_back_and_its_member_receives_nothing() -> None:
    apps.configure_django()
    from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: PLC0415

    rooms = Rooms("memory://")

    class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            member = await rooms.enter("r", self)
            with pytest.raises(OutOfOrder, match=r"messages come to the consumer's own receive\(\)"):
                await member.receive()
            member.send("joined")

    application = rooms.wrap(Consumer.as_asgi())
    async with lifespan(application), connect(application) as client:
        assert await client.receive() == "joined"


async def test_plain_callables_may_be_accepted_already_where_that_was_seen() -> None:
    rooms = Rooms("memory://")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "v1"})
        async with rooms.join("r", (scope, receive, send)) as member:
            member.send("joined")

    for app in (rooms.wrap(application), with_lifespan(rooms.wrap(application), rooms)):
        client = connect(app, subprotocols=["v1"])
        async with rooms:
            await client.open()
            assert client.subprotocol == "v1"
            assert await client.receive() == "joined"
            await client.finished()
