"""A server that goes sees its connections off: in waves, and by a deadline."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from roomcast.server.draining import Drain
from tests.protocol.wire import CLOSE, TEXT
from tests.server.peer import Peer, opened
from tests.server.serving import Calls, echo

if TYPE_CHECKING:
    from tests.server.serving import Log, Serve


async def test_connections_close_over_the_drain_and_not_at_once(serve: Serve) -> None:
    async with serve(echo, settings={"drain": 5}) as server:
        peers = [await (await Peer.ask(server.address)).opened() for _ in range(60)]
        start = time.monotonic()
        stopping = asyncio.ensure_future(server.stop())

        async def end(peer: Peer) -> float:
            frame = await peer.frame()
            assert frame is not None
            assert frame.opcode == CLOSE
            at = time.monotonic() - start
            await peer.close(1012)
            return at

        times = sorted(await asyncio.gather(*map(end, peers)))
        await stopping
        assert times[-1] - times[0] > 0.5
        halves = sum(at < (times[0] + times[-1]) / 2 for at in times)
        assert 15 < halves < 45
        for peer in peers:
            peer.vanish()


async def test_one_whose_turn_has_not_come_is_served(serve: Serve) -> None:
    async with serve(echo, settings={"drain": 5}) as server:
        peers = [await (await Peer.ask(server.address)).opened() for _ in range(40)]
        stopping = asyncio.ensure_future(server.stop())

        async def is_served(peer: Peer) -> bool:
            await peer.send("tick")
            frame = await peer.frame()
            assert frame is not None
            return frame.opcode == TEXT

        served = await asyncio.gather(*map(is_served, peers))
        assert served.count(True) > 20
        for peer in peers:
            peer.vanish()
        await stopping


async def test_all_are_cut_at_the_end_whatever_they_do(serve: Serve, log: Log) -> None:
    async with serve(Calls(), settings={"drain": 0.6}, send_buffer=16_384) as server:
        silent, _ = await opened(server)
        deaf, call = await opened(server, receive_buffer=4096)
        sending = asyncio.ensure_future(call.raw_send({"type": "websocket.send", "text": "x" * 3_000_000}))
        start = time.monotonic()
        async with silent, deaf:
            await server.stop()
            with pytest.raises(OSError, match="1012"):
                await sending
        assert time.monotonic() - start < 1.0
        assert len(log.complaints()) == 2, "both apps had to be cancelled"


async def test_a_websocket_that_is_asked_for_meanwhile_is_refused(serve: Serve) -> None:
    async with serve(echo) as server, await Peer.ask(server.address) as first:
        await first.opened()
        (session,) = server.sessions
        session.shutdown()
        async with await Peer.ask(server.address) as peer:
            response = await peer.response()
            assert (response.status, response["retry-after"]) == (503, "1")
        await first.frame()
        await first.close(1012)
        assert await first.frame() is None


class Guest:
    def __init__(self) -> None:
        self.departed = self.cut = 0

    def depart(self) -> None:
        self.departed += 1

    def closing_is_late(self) -> None:
        self.cut += 1

    def is_opening(self) -> bool:
        return False


async def test_each_departs_once_and_who_has_gone_is_left_alone() -> None:
    drain = Drain(asyncio.get_running_loop(), 0.2)
    guests = [Guest() for _ in range(10)]
    for guest in guests * 2:
        drain.add(guest)
    gone = guests.pop()
    drain.discard(gone)
    async with asyncio.timeout(5):
        while not all(guest.cut for guest in guests):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    assert [(guest.departed, guest.cut) for guest in guests] == [(1, 1)] * 9
    assert (gone.departed, gone.cut) == (0, 0)
    late = Guest()
    drain.add(late)
    assert late.departed == 1
