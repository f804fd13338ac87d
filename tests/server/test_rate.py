"""How many messages and bytes a second a connection may send: a warning, then 4029."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from roomcast.limits import Reason, counts
from roomcast.server.rate import OVER, WARN, WITHIN, Rate
from tests.protocol.wire import BINARY, CONTINUATION, PING, TEXT, frame
from tests.server.peer import close_frame, message_frame, opened, text_frame, turn
from tests.server.serving import Calls

if TYPE_CHECKING:
    from tests.server.peer import Peer
    from tests.server.serving import Serve

TOO_FAST = close_frame(4029, "too many messages or bytes in a second")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def rate(messages: float | None, size: float | None, clock: Any) -> Rate:
    return Rate(messages, size, clock)


def test_who_keeps_to_the_rate_is_never_warned() -> None:
    clock = Clock()
    bucket = rate(10, None, clock)
    for _ in range(1000):
        clock.now += 0.1
        assert bucket.take(1, 100) == WITHIN


def test_a_burst_is_taken_then_warned_about_then_over() -> None:
    clock = Clock()
    bucket = rate(10, None, clock)
    clock.now += 4
    assert [bucket.take(1, 5) for _ in range(11)] == [WITHIN] * 11  # a new one has 10, and fills when it is empty
    verdicts = [bucket.take(1, 5) for _ in range(60)]
    assert verdicts[:39] == [WITHIN] * 39
    assert verdicts[39] == WARN
    assert verdicts[40:50] == [WITHIN] * 10
    assert verdicts[50] == OVER


def test_a_new_connection_has_less() -> None:
    bucket = rate(10, None, Clock())
    verdicts = [bucket.take(1, 5) for _ in range(22)]
    assert verdicts == [WITHIN] * 10 + [WARN] + [WITHIN] * 10 + [OVER]


def test_a_new_connection_may_say_one_thing_however_low_the_rate() -> None:
    bucket = rate(0.5, None, Clock())
    assert [bucket.take(1, 5) for _ in range(2)] == [WITHIN, WARN]


def test_a_flood_that_comes_at_once_gets_no_warning() -> None:
    assert rate(10, None, Clock()).take(50, 0) == WARN
    assert rate(10, None, Clock()).take(51, 0) == OVER


def test_who_slows_down_after_the_warning_is_warned_again_before_the_end() -> None:
    clock = Clock()
    bucket = rate(10, None, clock)
    assert [bucket.take(1, 0) for _ in range(11)][-1] == WARN
    for _ in range(200):
        clock.now += 0.2
        assert bucket.take(1, 0) == WITHIN
    clock.now += 60
    verdicts = [bucket.take(1, 0) for _ in range(200)]
    assert verdicts.index(WARN) < verdicts.index(OVER)


def test_over_any_time_no_more_is_let_through_than_two_buckets_and_the_rate() -> None:
    clock = Clock()
    bucket = rate(10, None, clock)
    clock.now += 3600
    taken = 0
    for _ in range(2000):
        clock.now += 0.005
        if bucket.take(1, 0) == OVER:
            break
        taken += 1
    assert taken <= 10 * 10 + 40 * 2 + 10


def test_bytes_are_counted_like_messages() -> None:
    bucket = rate(None, 1000, Clock())
    assert [bucket.take(1, 1000) for _ in range(4)] == [WITHIN] * 4
    assert bucket.take(0, 1) == WARN
    assert bucket.take(0, 1001) == OVER


def test_one_message_larger_than_the_bucket_is_only_warned_about() -> None:
    bucket = rate(None, 1000, Clock())
    assert bucket.take(1, 1_000_000) == WARN
    assert bucket.take(1, 1000) == WITHIN
    assert bucket.take(1, 1) == OVER


async def test_a_flood_of_messages_is_warned_about_and_then_ended(serve: Serve) -> None:
    before = counts.copy()
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            call.outlet.limit_rate(rate(10, None, asyncio.get_running_loop().time), "slow down")
            for number in range(11):
                await peer.send(str(number))
            assert await peer.frame() == text_frame("slow down")
            for number in range(11):
                assert (await call.receive())["text"] == str(number)
            await peer.write(message_frame("x") * 1000)
            assert await peer.frame() == TOO_FAST
            assert await call.disconnected() == (4029, "too many messages or bytes in a second")
            assert await peer.frame() is None
        call.finish()
        await server.idle()
    assert counts[Reason.RATE_WARNING] == before[Reason.RATE_WARNING] + 1
    assert counts[Reason.RATE] == before[Reason.RATE] + 1


async def test_what_waits_of_a_flood_is_dropped(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            call.outlet.limit_rate(rate(10, None, asyncio.get_running_loop().time), None)
            await peer.write(message_frame("a") * 11)
            assert (await call.receive())["text"] == "a"
            await peer.write(message_frame("b") * 500)
            assert await peer.frame() == TOO_FAST
            assert (await call.receive())["type"] == "websocket.disconnect"


@pytest.mark.parametrize(
    ("beginning", "flood"),
    [
        (b"", message_frame(b"x" * 50_000)),
        (frame(TEXT, b"", fin=False), frame(CONTINUATION, b"x" * 400, fin=False) * 100),
        (frame(BINARY, b"", length=10_000_000), b"x" * 50_000),
        (b"", frame(PING, b"x" * 125) * 300),
    ],
    ids=["large messages", "fragments", "a frame that goes on and on", "pings"],
)
async def test_bytes_count_whatever_they_are(serve: Serve, beginning: bytes, flood: bytes) -> None:
    async with serve(Calls(), settings={"max_control_frames": 1000}) as server:
        peer, call = await opened(server)
        async with peer:
            call.outlet.limit_rate(rate(None, 4000, asyncio.get_running_loop().time), None)
            await peer.write(beginning)
            for _ in range(3):
                await peer.write(flood)
                await turn()
            assert (await call.disconnected())[0] == 4029


async def written_until_cut_off(peer: Peer, data: bytes) -> int:
    """Write the same 1,000 times, or as often as it can be written."""
    for count in range(1000):
        try:
            await peer.write(data)
        except OSError:
            return count
    return 1000


async def test_eight_fragments_count_as_a_message(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            call.outlet.limit_rate(rate(10, None, asyncio.get_running_loop().time), "slow down")
            message = (
                frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"x" * 50, fin=False) * 6 + frame(CONTINUATION)
            )
            for _ in range(5):  # each counts as two
                await peer.write(message)
                await turn()
            await peer.write(message)
            assert await peer.frame() == text_frame("slow down")
            await peer.write(frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"x" * 50, fin=False) * 2000)
            assert await peer.frame() == TOO_FAST
            assert (await call.disconnected())[0] == 4029


async def test_a_flood_that_goes_on_after_the_end_is_cut_off(serve: Serve) -> None:
    async with serve(Calls(), settings={"close_timeout": 60}) as server:
        peer, call = await opened(server)
        async with peer:
            call.outlet.limit_rate(rate(0.5, None, asyncio.get_running_loop().time), None)
            message = message_frame(b"x" * 60_000)
            assert await written_until_cut_off(peer, message) < 1000
            assert (await call.disconnected())[0] == 4029
        call.finish()
        await server.idle()


async def test_a_member_that_reads_nothing_gets_no_heap_of_warnings(serve: Serve) -> None:
    async with serve(Calls(), settings={"outbound_bytes": 50_000}, send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            call.outlet.limit_rate(rate(1, None, asyncio.get_running_loop().time), "w" * 1_000_000)
            await peer.write(message_frame("a") * 5)
            await turn()
            await peer.write(message_frame("a") * 100)
            assert (await call.disconnected())[0] in {4020, 4029}
