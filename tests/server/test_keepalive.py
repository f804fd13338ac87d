"""Peers that are gone are found, and peers that are there are not lost, whatever the server is busy with."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest
from websockets.sync.client import connect

from tests.protocol.wire import PING, PONG, frame
from tests.server.peer import Frame, close_frame, message_frame, opened, text_frame
from tests.server.serving import Calls, echo

if TYPE_CHECKING:
    from tests.server.serving import Log, Serve

SHORT = {"ws_ping_interval": 0.05, "ws_ping_timeout": 0.3}


async def test_a_peer_that_answers_pings_is_kept(serve: Serve) -> None:
    async with serve(Calls(), ws_ping_interval=0.05, ws_ping_timeout=0.5) as server:
        peer, call = await opened(server)
        async with peer:
            start = time.monotonic()
            for _ in range(15):
                assert await peer.frame() == Frame(PING, b"")
                await peer.write(frame(PONG))
            assert 0.7 < time.monotonic() - start < 3
            await peer.send("here")
            assert (await call.receive())["text"] == "here"


async def test_a_peer_that_says_nothing_is_lost_and_the_app_is_told(serve: Serve) -> None:
    async with serve(Calls(), **SHORT) as server:
        peer, call = await opened(server)
        async with peer:
            assert await call.disconnected() == (1006, "no answer to a ping")
            pings = await peer.frames()
            assert pings == [Frame(PING, b"")] * len(pings)
            assert 3 <= len(pings) <= 8


async def test_any_byte_is_a_sign_of_life(serve: Serve) -> None:
    async with serve(Calls(), ws_ping_interval=0.05, ws_ping_timeout=0.5) as server:
        peer, call = await opened(server)
        async with peer:
            message = message_frame("never answers a ping")
            start = time.monotonic()
            for byte in message:
                await peer.write(bytes([byte]))
                await asyncio.sleep(0.05)
            assert time.monotonic() - start > 1
            assert (await call.receive())["text"] == "never answers a ping"


async def test_without_an_interval_there_are_no_pings(serve: Serve) -> None:
    async with serve(Calls(), ws_ping_interval=None) as server:
        peer, call = await opened(server)
        async with peer:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer.socket, 1), 0.2)
            await call.text("x")
            assert await peer.frame() == text_frame("x")


async def test_without_a_timeout_silence_is_never_the_end(serve: Serve) -> None:
    async with serve(Calls(), ws_ping_interval=0.02, ws_ping_timeout=None) as server:
        peer, call = await opened(server)
        async with peer:
            for _ in range(5):
                assert await peer.frame() == Frame(PING, b"")
            await peer.send("x")
            assert (await call.receive())["text"] == "x"


async def test_a_stalled_event_loop_loses_no_honest_peer(serve: Serve) -> None:
    """The peer answers from a thread of its own; the server's loop stands still longer than the timeout."""
    async with serve(echo, ws_ping_interval=0.1, ws_ping_timeout=0.4) as server:
        ready, stop, failures = threading.Event(), threading.Event(), list[BaseException]()

        def client() -> None:
            try:
                with connect(server.url, proxy=None, ping_interval=None) as websocket:
                    ready.set()
                    stop.wait(20)
                    websocket.send("still here")
                    assert websocket.recv(timeout=10) == "still here"
            except BaseException as error:  # noqa: BLE001 - the test tells it
                failures.append(error)
            ready.set()

        thread = threading.Thread(target=client)
        thread.start()
        try:
            await asyncio.to_thread(ready.wait, 10)
            for stall in (0.6, 1.2, 0.45):
                time.sleep(stall)  # noqa: ASYNC251 - that is the stall
                await asyncio.sleep(0.15)
        finally:
            stop.set()
            await asyncio.to_thread(thread.join, 15)
        assert failures == []


async def test_reading_that_pauses_is_not_silence(serve: Serve) -> None:
    async with serve(Calls(), settings={"inbound_bytes": 1000}, **SHORT) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(message_frame("x" * 600) * 2)
            await asyncio.sleep(0.8)  # longer than it takes to lose a peer: nothing else can be waited for
            assert not call.outlet.closed
            for _ in range(2):
                assert (await call.receive())["text"] == "x" * 600
            answering = asyncio.ensure_future(_answer_pings(peer))
            await peer.send("y")
            assert (await call.receive())["text"] == "y"
            answering.cancel()


async def _answer_pings(peer: object) -> None:
    while (one := await peer.frame()) is not None:  # type: ignore[attr-defined]
        if one.opcode == PING:
            await peer.write(frame(PONG, one.payload))  # type: ignore[attr-defined]


async def test_a_peer_that_reads_slowly_but_reads_is_not_lost(serve: Serve) -> None:
    async with serve(Calls(), settings={"send_timeout": 30}, send_buffer=16_384, **SHORT) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            sending = asyncio.ensure_future(call.raw_send({"type": "websocket.send", "bytes": b"x" * 6_000_000}))
            loop = asyncio.get_running_loop()
            start = loop.time()
            while loop.time() - start < 1.5:  # many times the timeout
                await loop.sock_recv(peer.socket, 20_000)
                await asyncio.sleep(0.01)
                assert not call.outlet.closed
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def test_a_peer_that_neither_reads_nor_says_anything_is_lost(serve: Serve) -> None:
    async with serve(Calls(), settings={"send_timeout": 30}, send_buffer=16_384, **SHORT) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            with pytest.raises(OSError, match="1006"):
                await call.send({"type": "websocket.send", "bytes": b"x" * 20_000_000})
            assert await call.disconnected() == (1006, "no answer to a ping")


async def test_pings_stop_when_the_close_has_begun(serve: Serve) -> None:
    async with serve(Calls(), settings={"close_timeout": 0.5}, **SHORT) as server:
        peer, call = await opened(server)
        async with peer:
            await call.send({"type": "websocket.close"})
            frames = await peer.frames()
            assert frames[-1] == close_frame(1000)
            assert set(frames[:-1]) <= {Frame(PING, b"")}


async def test_a_deadline_fires_in_a_loop_that_stalls_all_the_time(serve: Serve, log: Log) -> None:
    async with serve(Calls(), settings={"close_timeout": 0.1}) as server:
        peer, call = await opened(server)
        async with peer:
            await call.send({"type": "websocket.close"})
            assert await peer.frame() == close_frame(1000)
            for _ in range(6):
                time.sleep(0.15)  # noqa: ASYNC251 - that is the stall
                await asyncio.sleep(0.01)
            assert await asyncio.wait_for(peer.frames(), 0.2) == []
    assert log.complaints() == []
