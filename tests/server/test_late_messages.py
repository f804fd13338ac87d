"""A frame, or a message, that begins and does not end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roomcast.limits import Reason, counts
from tests.protocol.wire import BINARY, CONTINUATION, PING, TEXT, frame
from tests.server.peer import message_frame, opened, turn
from tests.server.serving import TIMEOUT, Calls

if TYPE_CHECKING:
    from tests.server.serving import Serve

DEFLATE = [("Sec-WebSocket-Extensions", "permessage-deflate")]


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (frame(TEXT, b"x")[:1], b""),
        (frame(TEXT, b"x" * 1000)[:5], b""),
        (frame(BINARY, b"x" * 100, length=100_000), b"x"),
        (frame(TEXT, b"x", fin=False), frame(CONTINUATION, b"x", fin=False)),
        (frame(TEXT, b"x", fin=False), frame(PING, b"")),
        (message_frame("a") + frame(TEXT, b"x", fin=False), frame(PING, b"")),
    ],
)
@pytest.mark.parametrize("headers", [[], DEFLATE], ids=["plain", "deflate"])
async def test_what_does_not_come_to_its_end_is_1008(
    serve: Serve, begun: bytes, more: bytes, headers: list[tuple[str, str]]
) -> None:
    before = counts[Reason.MESSAGE_TIMEOUT]
    async with serve(Calls(), settings={"message_timeout": 0.3}) as server:
        peer, call = await opened(server, "/", headers)
        async with peer:
            await peer.write(begun)
            ended = asyncio.ensure_future(call.disconnected())
            async with asyncio.timeout(TIMEOUT):
                while not ended.done():  # it dribbles on, until it is stopped
                    await peer.write(more)
                    await asyncio.wait([ended], timeout=0.02)
            assert await ended == (1008, "a message that did not come to its end within 0.3 s")
            *_, last = await peer.frames()
            assert last.payload[:2] == (1008).to_bytes(2, "big")
    assert counts[Reason.MESSAGE_TIMEOUT] == before + 1


async def test_one_message_after_the_other_is_never_late_though_each_ends_within_the_next(serve: Serve) -> None:
    async with serve(Calls(), settings={"message_timeout": 0.4}) as server:
        peer, call = await opened(server)
        async with peer:
            message = message_frame(b"x" * 1000)
            stream = message * 100
            for start in range(0, 50_000, 1000):  # never at the end of a message
                await peer.write(stream[start + 500 : start + 1500] if start else stream[:1500])
                await asyncio.sleep(0.02)
            await turn()
            for _ in range(40):
                assert len((await call.receive())["bytes"]) == 1000


async def test_a_message_that_is_not_read_is_not_late(serve: Serve) -> None:
    settings = {"message_timeout": 0.1, "inbound_bytes": 1000}
    async with serve(Calls(), settings=settings) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(message_frame(b"x" * 2000) + frame(BINARY, b"x" * 10, length=5_000))
            writing = asyncio.ensure_future(peer.write(b"x" * 4990))
            await asyncio.sleep(0.4)
            assert not call.outlet.closed
            assert len((await call.receive())["bytes"]) == 2000
            assert len((await call.receive())["bytes"]) == 5000
            await writing


async def test_without_a_deadline_a_message_may_take_for_ever(serve: Serve) -> None:
    async with serve(Calls(), settings={"message_timeout": None}) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(frame(TEXT, b"x", fin=False))
            await asyncio.sleep(0.1)
            await peer.write(frame(CONTINUATION, b"y"))
            assert (await call.receive())["text"] == "xy"


@pytest.mark.parametrize("size", [0, 31])
async def test_tiny_fragments_count_as_control_frames_do(serve: Serve, size: int) -> None:
    before = counts[Reason.FRAMES]
    async with serve(Calls(), settings={"max_control_frames": 10}) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"x" * size, fin=False) * 20)
            assert (await call.disconnected())[0] == 1008
            *_, last = await peer.frames()
            assert b"10 control frames or tiny fragments" in last.payload
    assert counts[Reason.FRAMES] == before + 1


async def test_fragments_that_are_not_tiny_and_the_last_of_a_message_do_not(serve: Serve) -> None:
    async with serve(Calls(), settings={"max_control_frames": 1}) as server:
        peer, call = await opened(server)
        async with peer:
            for _ in range(20):
                await peer.write(frame(TEXT, b"x" * 32, fin=False) + frame(CONTINUATION, b""))
                assert (await call.receive())["text"] == "x" * 32


async def test_limits_of_frames_can_be_switched_off(serve: Serve) -> None:
    async with serve(Calls(), settings={"max_control_frames": None, "max_fragments": None}) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(frame(PING, b"") * 1000)
            await peer.write(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 2000)
            await peer.write(frame(CONTINUATION, b"end"))
            assert (await call.receive())["text"] == "end"
