"""The outlet that the scope offers to rooms: messages are offered, never waited for, and bounded in bytes."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from roomcast.errors import Disconnected, InvalidClose
from roomcast.protocol.prepared import PreparedMessage
from tests.server.peer import Frame, Peer, close_frame, opened, text_frame, turn
from tests.server.serving import ACCEPT, Calls

if TYPE_CHECKING:
    from tests.server.serving import Log, Serve


def ends_of(outlet: Any) -> list[tuple[int, str]]:
    """Collect what the outlet calls back with."""
    ends: list[tuple[int, str]] = []
    outlet.on_close(lambda code, reason: ends.append((code, reason)))
    return ends


async def test_an_offered_message_reaches_the_peer(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            assert call.outlet.offer(PreparedMessage("é"))
            assert call.outlet.offer(PreparedMessage(b"\x00"))
            assert await peer.frame() == text_frame("é")
            assert await peer.frame() == Frame(2, b"\x00")
            assert call.outlet.queued_bytes == 0


async def test_before_the_accept_and_after_the_end_nothing_is_taken(serve: Serve) -> None:
    async with serve(Calls()) as server, await Peer.ask(server.address) as peer:
        call = await server.call()
        assert not call.outlet.offer(PreparedMessage("x"))
        await call.accept()
        await peer.opened()
        await peer.close()
        await call.disconnected()
        assert not call.outlet.offer(PreparedMessage("x"))
        assert await peer.frames() == [close_frame(1000)]
        assert call.outlet.queued_bytes == 0


async def test_queued_bytes_count_what_waits(serve: Serve) -> None:
    async with serve(Calls(), send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            outlet = call.outlet
            outlet.offer(PreparedMessage("x" * 100))
            assert outlet.queued_bytes == 102
            assert len((await peer.frame() or text_frame("")).payload) == 100
            assert outlet.queued_bytes == 0
            outlet.offer(PreparedMessage("x" * 500_000))
            outlet.offer(PreparedMessage("x" * 100))
            await turn()
            assert 300_000 < outlet.queued_bytes < 500_200


async def test_a_stalled_member_is_closed_as_too_slow_at_the_bound(serve: Serve) -> None:
    async with serve(Calls(), settings={"outbound_bytes": 200_000}, send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            ends = ends_of(call.outlet)
            message = PreparedMessage("x" * 1000)
            taken = 0
            while call.outlet.offer(message):
                taken += 1
                assert call.outlet.queued_bytes <= 200_000 + 64 * 1024
                if taken % 10 == 0:
                    await asyncio.sleep(0)
            assert taken > 150
            assert call.outlet.closed
            ((code, reason),) = ends
            assert code == 4020
            assert reason.startswith("too slow: ")
            assert not call.outlet.offer(message)
            assert await call.disconnected() == (code, reason)
            with pytest.raises(Disconnected, match="4020"):
                await call.text("x")
            frames = await peer.frames()
            assert frames[-1] == close_frame(code, reason)
            assert len(frames) - 1 < taken


async def test_a_stalled_member_that_never_reads_again_is_cut_off(serve: Serve) -> None:
    settings = {"outbound_bytes": 100_000, "close_timeout": 0.2}
    async with serve(Calls(), settings=settings, send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            while call.outlet.offer(PreparedMessage("x" * 1000)):  # noqa: ASYNC110
                await asyncio.sleep(0)
            call.finish()
            await server.idle()


async def test_a_burst_in_one_turn_is_taken_up_to_the_bound_of_what_is_not_written(serve: Serve) -> None:
    async with serve(Calls(), settings={"outbound_bytes": 200_000}) as server:
        peer, call = await opened(server)
        async with peer:
            for number in range(150):
                assert call.outlet.offer(PreparedMessage(str(number) * 500))
            for number in range(150):
                assert await peer.frame() == text_frame(str(number) * 500)


async def test_stalled_members_delay_no_other_and_their_memory_is_bounded(serve: Serve) -> None:
    async with serve(Calls(), settings={"outbound_bytes": 100_000}, send_buffer=16_384) as server:
        good, good_call = await opened(server)
        stalled = [await opened(server, receive_buffer=4096) for _ in range(20)]
        tracemalloc.start()
        try:
            for number in range(1000):
                message = PreparedMessage(str(number) * 250)
                for _, call in stalled:
                    call.outlet.offer(message)
                assert good_call.outlet.offer(message)
                got = await good.frame()
                assert got is not None
                assert got.payload == message.payload
            used, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert used < 20 * 200_000
        assert all(call.outlet.closed for _, call in stalled)
        for peer, _ in [(good, good_call), *stalled]:
            peer.reset()


async def test_close_tells_the_peer_the_app_and_the_rooms_once(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            first, second = ends_of(call.outlet), ends_of(call.outlet)
            call.outlet.close(4003, "out")
            call.outlet.close(4004, "again")
            assert first == second == [(4003, "out")]
            assert await peer.frame() == close_frame(4003, "out")
            await peer.close(4003)
            assert await peer.frames() == []
            assert await call.disconnected() == (4003, "out")
            assert first == [(4003, "out")]


async def test_a_close_that_may_not_be_raises_and_changes_nothing(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            ends = ends_of(call.outlet)
            await call.text("waits")
            with pytest.raises(InvalidClose):
                call.outlet.close(4003, "x" * 124)
            assert (ends, call.outlet.closed) == ([], False)
            assert await peer.frame() == text_frame("waits")


async def test_a_close_in_the_turn_of_the_accept_comes_after_the_response(serve: Serve) -> None:
    async with serve(Calls()) as server, await Peer.ask(server.address) as peer:
        call = await server.call()
        await call.raw_receive()
        await call.raw_send(ACCEPT)
        assert call.outlet.offer(PreparedMessage("farewell"))
        call.outlet.close(4003, "out")
        await peer.opened()
        assert await peer.frame() == text_frame("farewell")
        assert await peer.frame() == close_frame(4003, "out")


async def test_a_message_over_the_bound_in_the_turn_of_the_accept_comes_after_the_response(serve: Serve) -> None:
    async with serve(Calls(), settings={"outbound_bytes": 1000}) as server, await Peer.ask(server.address) as peer:
        call = await server.call()
        await call.raw_receive()
        await call.raw_send(ACCEPT)
        assert call.outlet.offer(PreparedMessage("x" * 2000))  # nothing waits: it is no sign of a slow peer
        await peer.opened()
        assert await peer.frame() == text_frame("x" * 2000)


@pytest.mark.parametrize("how", ["vanish", "reset", "shut", "close"])
async def test_on_close_is_called_however_the_peer_ends(serve: Serve, how: str) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            ends = ends_of(call.outlet)
            if how == "close":
                await peer.close(3000, "bye")
            else:
                getattr(peer, how)()
            end = await call.disconnected()
            assert ends == [end] == [(3000, "bye") if how == "close" else (1006, "")]


async def test_on_close_is_called_when_the_app_ends_it(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            ends = ends_of(call.outlet)
            await call.send({"type": "websocket.close", "code": 3000, "reason": "bye"})
            assert ends == [(3000, "bye")]


async def test_on_close_after_the_end_is_called_all_the_same(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.close(3000, "bye")
            await call.disconnected()
            ends = ends_of(call.outlet)
            await turn()
            assert ends == [(3000, "bye")]


async def test_a_callback_that_raises_keeps_no_other_from_being_called(serve: Serve, log: Log) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)

        def raises(_code: int, _reason: str) -> None:
            raise ValueError("the callback's own")

        call.outlet.on_close(raises)
        ends = ends_of(call.outlet)
        peer.vanish()
        await call.disconnected()
        assert ends == [(1006, "")]
        call.finish()
        await server.idle()
        (complaint,) = log.complaints()
        assert "the callback's own" in complaint


async def test_after_finish_nobody_is_called(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            ends = ends_of(call.outlet)
            await call.outlet.finish()
            await peer.close()
            await call.disconnected()
            assert ends == []


async def test_one_prepared_message_reaches_deflating_and_plain_members_alike(serve: Serve) -> None:
    async with serve(Calls()) as server:
        plain, plain_call = await opened(server)
        deflating, deflating_call = await opened(server, "/", [("Sec-WebSocket-Extensions", "permessage-deflate")])
        async with plain, deflating:
            message = PreparedMessage("much the same " * 100)
            for call in (plain_call, deflating_call):
                assert call.outlet.offer(message)
            assert await plain.frame() == text_frame("much the same " * 100)
            deflated = await deflating.frame()
            assert deflated is not None
            assert deflated.compressed
            assert len(deflated.payload) < 100
