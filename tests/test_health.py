"""Whether a process lives, and whether it is to get connections, as ASGI apps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Route

from roomcast import Rooms
from roomcast.health import health, healthz, readyz
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.testing import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp


class Server:
    pass


class Unsteady(MemoryBroker):
    reachable = True


def mounted() -> FastAPI:
    app = FastAPI()
    app.mount("/readyz", readyz)
    app.mount("/healthz", healthz)
    return app


def routed() -> Starlette:
    return Starlette(routes=[Route("/readyz", readyz), Route("/healthz", healthz)])


async def get(app: ASGIApp, path: str) -> tuple[int, dict[str, object]]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
        answer = await http.get(path, follow_redirects=True)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("app", [mounted, routed])
async def test_it_is_ready_while_it_does_not_drain_and_its_brokers_can_be_reached(
    app: Callable[[], ASGIApp],
) -> None:
    broker = Unsteady()
    ready = (200, {"status": "ok"})
    assert await get(app(), "/readyz") == ready
    async with Rooms(broker):
        assert await get(app(), "/readyz") == ready
        broker.reachable = False
        unreachable = {"status": "unavailable", "problems": ["the broker cannot be reached"]}
        assert await get(app(), "/readyz") == (503, unreachable)
        assert await get(app(), "/healthz") == ready
    assert await get(app(), "/readyz") == ready


async def test_it_is_not_ready_while_it_drains() -> None:
    server = Server()
    health.drains.add(server)
    assert await get(routed(), "/readyz") == (503, {"status": "unavailable", "problems": ["draining"]})
    health.drains.discard(server)
    assert (await get(routed(), "/readyz"))[0] == 200


async def test_it_is_no_websocket() -> None:
    client = await connect(readyz).open()
    assert not client.accepted
