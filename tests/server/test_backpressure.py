"""Neither side can fill the server's memory: reading pauses, sending waits, and both have bounds in bytes."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest

from roomcast.errors import Disconnected
from tests.protocol.wire import BINARY, frame
from tests.server.peer import Frame, message_frame, opened, text_frame, turn
from tests.server.serving import TIMEOUT, Calls

if TYPE_CHECKING:
    from tests.server.peer import Peer
    from tests.server.serving import Call, Serve

INBOUND = 32 * 1024
DEFLATE = [("Sec-WebSocket-Extensions", "permessage-deflate")]


async def write_until_it_stalls(peer: Peer, data: bytes) -> int:
    """Write the same again and again until the server reads no more; give how often it fitted wholly."""
    count = 0
    while True:
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(peer.socket, data), 0.1)
        except TimeoutError:
            return count
        count += 1


async def test_reading_pauses_at_the_bound_and_goes_on_when_the_app_has_taken_half(serve: Serve) -> None:
    async with serve(Calls(), settings={"inbound_bytes": INBOUND}) as server:
        peer, call = await opened(server)
        async with peer:
            written = 0
            message = message_frame(b"x" * 10_000)
            stalled = asyncio.ensure_future(write_until_it_stalls(peer, message))
            written = await stalled
            assert written * 10_000 > INBOUND
            rest = asyncio.ensure_future(peer.rest())
            received = 0
            while received < written:
                assert len((await call.receive())["bytes"]) == 10_000
                received += 1
            rest.cancel()


async def test_memory_stays_bounded_while_the_app_does_not_receive(serve: Serve) -> None:
    async with serve(Calls(), settings={"inbound_bytes": INBOUND}) as server:
        peer, call = await opened(server)
        async with peer:
            tracemalloc.start()
            try:
                await write_until_it_stalls(peer, b"".join(message_frame(b"") for _ in range(5000)))
                used, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert used < 1_500_000  # one read of asyncio's may bring 256 KiB of the shortest frames
            assert await call.receive() == {"type": "websocket.receive", "bytes": b""}


async def test_a_bomb_of_deflated_messages_is_inflated_only_as_the_app_takes_them(serve: Serve) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = deflate.compress(b"\0" * 1_000_000) + deflate.flush(zlib.Z_SYNC_FLUSH)
    bomb = frame(BINARY, deflated[:-4], rsv=4)
    assert len(bomb) < 1100
    async with serve(Calls(), settings={"inbound_bytes": INBOUND}) as server:
        peer, call = await opened(server, "/", DEFLATE)
        async with peer:
            tracemalloc.start()
            try:
                await peer.write(bomb * 100)
                await turn()
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < 12_000_000
            for _ in range(100):
                assert len((await call.receive())["bytes"]) == 1_000_000
            await peer.close(3000)
            assert await call.disconnected() == (3000, "")


async def test_a_pause_within_what_was_read_keeps_order_and_the_close_behind_it(serve: Serve) -> None:
    async with serve(Calls(), settings={"inbound_bytes": 1000}) as server:
        peer, call = await opened(server, "/", DEFLATE)
        async with peer:
            messages = [str(number) * 50 for number in range(400)]
            await peer.write(b"".join(map(message_frame, messages)))
            await peer.close(3000, "end")
            await turn()
            for message in messages:
                assert (await call.receive())["text"] == message
            assert await call.disconnected() == (3000, "end")


async def test_a_close_from_this_side_reads_past_what_was_paused(serve: Serve) -> None:
    for deflate in ([], DEFLATE):
        async with serve(Calls(), settings={"inbound_bytes": 1000, "close_timeout": 60}) as server:
            peer, call = await opened(server, "/", deflate)
            async with peer:
                writing = asyncio.ensure_future(peer.write(message_frame("x" * 100) * 50_000))
                await asyncio.wait([writing], timeout=0.1)
                call.outlet.close(4003, "out")
                await writing
                await peer.close(4003)
                assert [closed.payload for closed in await peer.frames()] == [b"\x0f\xa3out"]
                call.finish()
                await server.idle()


async def fill(call: Call, size: int = 100_000) -> asyncio.Future[None]:
    """Send until a send waits for the peer; give that send."""
    while True:
        sending: asyncio.Future[None] = asyncio.ensure_future(
            call.raw_send({"type": "websocket.send", "bytes": b"x" * size})
        )
        done, _ = await asyncio.wait([sending], timeout=0.05)
        if not done:
            return sending
        await sending


async def test_send_waits_while_the_peer_does_not_read_and_goes_on_when_it_does(serve: Serve) -> None:
    async with serve(Calls(), send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            sending = await fill(call)
            queued = call.outlet.queued_bytes
            assert 64 * 1024 <= queued < 1_000_000
            reading = asyncio.ensure_future(peer.drain(20_000_000))
            await asyncio.wait_for(sending, TIMEOUT)
            reading.cancel()


async def test_several_sends_that_wait_all_go_on(serve: Serve) -> None:
    async with serve(Calls(), send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            first = await fill(call)
            more = [asyncio.ensure_future(call.text(str(number))) for number in range(5)]
            await turn()
            assert not any(task.done() for task in more)
            frames: list[Frame] = []
            while len(frames) < 5:
                one = await peer.frame()
                assert one is not None
                if one.opcode == 1:
                    frames.append(one)
            assert frames == [text_frame(str(number)) for number in range(5)]
            await asyncio.wait_for(asyncio.gather(first, *more), TIMEOUT)


async def test_a_send_that_waits_too_long_closes_as_too_slow_and_raises(serve: Serve) -> None:
    async with serve(Calls(), settings={"send_timeout": 0.2}, send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            sending = asyncio.ensure_future(call.raw_send({"type": "websocket.send", "bytes": b"x" * 1_000_000}))
            with pytest.raises(Disconnected) as raised:
                await asyncio.wait_for(sending, TIMEOUT)
            assert raised.value.code == 4020
            assert (await call.disconnected())[0] == 4020
            *_, last = await peer.frames()
            assert last.payload == (4020).to_bytes(2, "big") + b"too slow: come back and resume"


async def test_a_send_that_waits_is_told_at_once_of_a_close_by_someone_else(serve: Serve) -> None:
    async with serve(Calls(), settings={"close_timeout": 0.2}, send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            sending = await fill(call)
            call.outlet.close(4003, "out")
            with pytest.raises(Disconnected, match="4003"):
                await asyncio.wait_for(sending, 1)


@pytest.mark.parametrize("how", ["vanish", "reset"])
async def test_a_send_that_waits_is_told_when_the_peer_goes(serve: Serve, how: str) -> None:
    async with serve(Calls(), send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        sending = await fill(call)
        getattr(peer, how)()
        with pytest.raises(Disconnected, match="1006"):
            await asyncio.wait_for(sending, TIMEOUT)
        assert await call.disconnected() == (1006, "")


async def test_a_send_that_is_cancelled_while_it_waits_harms_nothing(serve: Serve) -> None:
    async with serve(Calls(), send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            sending = await fill(call)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            last = asyncio.ensure_future(call.text("last"))
            while (one := await peer.frame()) is not None and one.opcode != 1:
                pass
            assert one == text_frame("last")
            await last


async def test_memory_stays_bounded_while_the_peer_does_not_read(serve: Serve) -> None:
    async with serve(Calls(), send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            sending = await fill(call, 10_000)
            assert call.outlet.queued_bytes < 300_000
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def test_a_peer_that_pings_and_reads_no_pong_is_closed_as_too_slow(serve: Serve) -> None:
    settings = {"max_control_frames": 1_000_000, "outbound_bytes": 50_000, "close_timeout": 0.1}
    async with serve(Calls(), settings=settings, send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            with contextlib.suppress(OSError):  # it may be cut off while it writes
                await peer.write(frame(9, b"x" * 125) * 200_000)
            assert (await call.disconnected())[0] == 4020
            assert call.outlet.queued_bytes < 200_000
