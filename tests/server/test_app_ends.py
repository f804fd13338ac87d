"""How a connection ends with its app: it returns, raises, is cancelled, or lets a disconnect through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.peer import Peer, close_frame, opened, text_frame
from tests.server.serving import Calls

if TYPE_CHECKING:
    from tests.server.serving import Log, Serve


async def test_an_app_that_returns_while_open_closes_with_1000(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await call.text("last")
            call.finish()
            assert await peer.frame() == text_frame("last")
            assert await peer.frame() == close_frame(1000)


async def test_an_app_that_raises_closes_with_1011_and_is_logged_once(serve: Serve, log: Log) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await call.text("last")
            call.fail(ValueError("the app's own"))
            assert await peer.frame() == text_frame("last")
            assert await peer.frame() == close_frame(1011)
            (complaint,) = log.complaints()
            assert complaint.startswith("Exception in ASGI application\nTraceback")
            assert complaint.endswith("ValueError: the app's own")


async def test_an_app_that_returns_something_is_told(serve: Serve, log: Log) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> int:  # noqa: ARG001
        await receive()
        await send({"type": "websocket.accept"})
        return 7

    async with serve(app) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        assert await peer.frame() == close_frame(1000)
        assert log.complaints() == ["ASGI callable should return None, but returned 7."]


class OwnDisconnect(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


async def let_through(call: Any) -> None:
    await call.raw_send({"type": "websocket.send", "text": "x"})


async def wrapped(call: Any) -> None:
    try:
        await let_through(call)
    except OSError as error:
        raise RuntimeError("the framework's word") from error


async def with_its_own_code(call: Any) -> None:
    raise OwnDisconnect((await call.receive())["code"])


async def with_another_code(call: Any) -> None:
    try:
        await let_through(call)
    except OSError:
        raise OwnDisconnect(1006)  # noqa: B904 - as Starlette does


async def in_a_group(call: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(let_through(call))
        group.create_task(let_through(call))


def played_by(part: Any) -> Any:
    """Make an app that waits for the disconnect, and then plays a part."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        from tests.server.serving import Call  # noqa: PLC0415

        call = Call(scope, receive, send)
        await call.accept()
        await call.disconnected()
        await part(call)

    return app


@pytest.mark.parametrize("part", [let_through, wrapped, with_its_own_code, with_another_code, in_a_group])
@pytest.mark.parametrize("code", [None, 1000, 1001, 3000])
async def test_the_word_for_a_disconnect_in_any_form_is_not_logged(
    serve: Serve, part: Any, code: int | None
) -> None:
    async with serve(played_by(part)) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        await peer.close(code)
        await peer.frames()
        await server.idle()


async def test_a_mistake_made_while_handling_a_disconnect_is_logged(serve: Serve, log: Log) -> None:
    async def mistaken(call: Any) -> None:
        try:
            await let_through(call)
        except OSError:
            raise KeyError("a real mistake")  # noqa: B904 - as mistakes are

    async with serve(played_by(mistaken)) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        await peer.close()
        await server.idle()
        (complaint,) = log.complaints()
        assert "a real mistake" in complaint


async def test_a_mistake_beside_a_disconnect_in_a_group_is_logged(serve: Serve, log: Log) -> None:
    async def mistake() -> None:
        raise KeyError("a real mistake")

    async def mistaken(call: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(let_through(call))
            group.create_task(mistake())

    async with serve(played_by(mistaken)) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        await peer.close()
        await server.idle()
        assert len(log.complaints()) == 1


async def test_an_app_that_is_cancelled_closes_with_1011(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            call.task.cancel()
            assert await peer.frame() == close_frame(1011)
