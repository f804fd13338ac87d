"""What a member leaves behind is freed with it, and does not wait for the garbage collector.

In a server, that looks at what has lived for a while very seldom: until then, each member that has left would hold
all of its connection.
"""

from __future__ import annotations

import gc
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as dial

from roomcast import Rooms
from roomcast.testing import LiveServer
from tests.rooms.guests import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

CLIENTS = 5


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def closes(client: ClientConnection) -> None:
    await client.close()


async def vanishes(client: ClientConnection) -> None:
    client.transport.abort()


async def is_told_to_leave(client: ClientConnection) -> None:
    await client.send("leave")
    await client.wait_closed()


async def is_put_out(client: ClientConnection) -> None:
    await client.send("put out")
    await client.wait_closed()


def has_come(refs: list[weakref.ref[Any]], count: int) -> bool:
    return len(refs) == count


@pytest.mark.parametrize("goes", [closes, vanishes, is_told_to_leave, is_put_out])
@pytest.mark.parametrize("path", ["/joined", "/twice"])
@pytest.mark.usefixtures("uncollected")
async def test_whoever_has_left_is_gone(goes: Callable[[ClientConnection], Awaitable[None]], path: str) -> None:
    rooms = Rooms("memory://")
    refs: list[weakref.ref[Any]] = []

    async def joined(ws: Any) -> None:
        async with rooms.join("a", ws) as member:
            refs.extend((weakref.ref(member), weakref.ref(member.connection), weakref.ref(member.stay)))
            async for text in member:
                if text == "leave":
                    break
                member.close(4005, "out")
        await ws.close()

    async def twice(ws: Any) -> None:
        async with rooms.join("b", ws):
            await joined(ws)

    app = Starlette(
        routes=[WebSocketRoute("/joined", joined), WebSocketRoute("/twice", twice)], lifespan=rooms.lifespan
    )
    with LiveServer(app, log_level="critical") as server:
        for number in range(CLIENTS):
            client = await dial(server.ws_url + path, proxy=None)
            await until(partial(has_come, refs, 3 * (number + 1)))
            await goes(client)
        await until(lambda: not any(ref() for ref in refs))
