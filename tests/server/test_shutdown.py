"""When uvicorn stops: peers hear 1012, queues drain until the deadline, and nobody holds the exit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.protocol.wire import TEXT
from tests.server.peer import Peer, close_frame, opened, turn
from tests.server.serving import CONNECT, Calls, echo

if TYPE_CHECKING:
    from tests.server.serving import Log, Serve

RESTART = close_frame(1012, "The server restarts.")


async def test_peers_and_apps_are_told_1012(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            stopping = asyncio.ensure_future(server.stop())
            assert await peer.frame() == RESTART
            assert await call.disconnected() == (1012, "The server restarts.")
            call.finish()
            await peer.close(1012)
            assert await peer.frames() == []
            await stopping


async def test_a_handshake_that_waits_for_the_app_is_refused_with_503(serve: Serve) -> None:
    async with serve(Calls()) as server, await Peer.ask(server.address) as peer:
        call = await server.call()
        assert await call.receive() == CONNECT
        stopping = asyncio.ensure_future(server.stop())
        assert (await peer.response()).status == 503
        assert await call.disconnected() == (1012, "")
        call.finish()
        await stopping


async def test_what_is_queued_drains_before_the_close(serve: Serve) -> None:
    async with serve(Calls(), send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            sending = asyncio.ensure_future(call.raw_send({"type": "websocket.send", "text": "x" * 300_000}))
            await turn()
            stopping = asyncio.ensure_future(server.stop())
            await turn()
            with pytest.raises(OSError, match="1012"):
                await sending
            call.finish()
            message = await peer.frame()
            assert message is not None
            assert (message.opcode, len(message.payload)) == (TEXT, 300_000)
            assert await peer.frame() == RESTART
            await peer.close(1012)
            await stopping


async def test_a_peer_that_never_reads_does_not_hold_the_exit(serve: Serve) -> None:
    async with serve(Calls(), settings={"close_timeout": 0.2}, send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            sending = asyncio.ensure_future(call.raw_send({"type": "websocket.send", "text": "x" * 3_000_000}))
            await turn()
            stopping = asyncio.ensure_future(server.stop())
            with pytest.raises(OSError, match="1012"):
                await sending
            call.finish()
            await stopping


async def test_a_peer_that_never_answers_the_close_does_not_hold_the_exit(serve: Serve) -> None:
    async with serve(echo, settings={"close_timeout": 0.2}) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        await server.stop()
        assert await peer.frames() == [RESTART]


async def test_an_app_that_never_ends_does_not_hold_the_exit(serve: Serve, log: Log) -> None:
    async with serve(Calls(), settings={"close_timeout": 0.2}) as server:
        peer, call = await opened(server)
        async with peer:
            await server.stop()
            assert call.end.cancelled()
            (complaint,) = log.complaints()
            assert "it is cancelled" in complaint


@pytest.mark.parametrize("how", ["vanish", "close"])
async def test_an_app_that_goes_on_after_its_peer_went_does_not_hold_the_exit(
    serve: Serve, log: Log, how: str
) -> None:
    async with serve(Calls(), settings={"close_timeout": 0.2}) as server:
        peer, call = await opened(server)
        if how == "close":
            await peer.close()
            assert await peer.frames() == [close_frame(1000)]
        peer.vanish()
        await call.disconnected()
        await turn()
        await server.stop()
        assert call.end.cancelled()
        assert len(log.complaints()) == 1


async def test_an_app_that_goes_on_after_it_refused_does_not_hold_the_exit(serve: Serve, log: Log) -> None:
    async with serve(Calls(), settings={"close_timeout": 0.2}) as server, await Peer.ask(server.address) as peer:
        call = await server.call()
        await call.send({"type": "websocket.close"})
        assert (await peer.response()).status == 403
        await server.stop()
        assert call.end.cancelled()
        assert len(log.complaints()) == 1


async def test_a_connection_that_is_closing_already_ends_by_its_deadline(serve: Serve) -> None:
    async with serve(Calls(), settings={"close_timeout": 0.2}) as server:
        peer, call = await opened(server)
        async with peer:
            await call.send({"type": "websocket.close", "code": 3000})
            call.finish()
            await server.stop()
            assert await peer.frames() == [close_frame(3000)]


async def test_a_close_that_waits_for_an_answer_is_not_forgotten(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.send("a")
            await peer.close(3000)
            assert (await call.receive())["text"] == "a"
            await turn()
            stopping = asyncio.ensure_future(server.stop())
            assert await peer.frames() == [close_frame(3000)]
            call.finish()
            await stopping


async def test_hundreds_of_connections_end_together(serve: Serve) -> None:
    async with serve(echo, settings={"drain": 5}) as server:
        peers = [await Peer.ask(server.address) for _ in range(200)]
        for peer in peers:
            await peer.opened()
        assert len(server.sessions) == 200
        stopping = asyncio.ensure_future(server.stop())

        async def end(peer: Peer) -> Any:
            closed = await peer.frame()
            await peer.close(1012)
            return closed, await peer.frame()

        async with asyncio.timeout(20):
            ends = await asyncio.gather(*map(end, peers))
            await stopping
        assert ends.count((RESTART, None)) == 200
        for peer in peers:
            peer.vanish()
