"""What is sent in one turn of the event loop is written at once, and in the order of the calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from roomcast.protocol.prepared import PreparedMessage
from roomcast.server.settings import Settings
from roomcast.server.uvicorn import WebSocketProtocol
from tests.protocol.wire import PING, PONG, frame
from tests.server.peer import Frame, Peer, close_frame, message_frame, opened, text_frame, turn
from tests.server.serving import Calls

if TYPE_CHECKING:
    from tests.server.serving import Log, Serve


class Spy:
    """A transport that notes what is written to it, and when its reading pauses."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.writes: list[bytes] = []
        self.pauses = 0
        self.resumes = 0
        self.broken = False

    def write(self, data: bytes) -> None:
        if self.broken:
            raise RuntimeError("the transport's own")
        self.writes.append(data)
        self._transport.write(data)

    def pause_reading(self) -> None:
        self.pauses += 1
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self.resumes += 1
        self._transport.resume_reading()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Spied(WebSocketProtocol):
    """The class that uvicorn loads, on a transport that is watched."""

    __slots__ = ("spy",)

    settings = Settings(inbound_bytes=10_000)
    spy: Spy

    def connection_made(self, transport: Any) -> None:
        self.spy = Spy(transport)
        super().connection_made(self.spy)  # type: ignore[arg-type]


async def test_many_sends_in_one_turn_are_one_write(serve: Serve) -> None:
    async with serve(Calls(), ws=Spied) as server:
        peer, call = await opened(server)
        async with peer:
            spy = call.outlet.spy
            spy.writes.clear()
            for number in range(100):
                await call.raw_send({"type": "websocket.send", "text": str(number)})
            assert spy.writes == []
            for number in range(100):
                assert await peer.frame() == text_frame(str(number))
            assert len(spy.writes) == 1


async def test_the_handshakes_response_goes_out_with_what_follows_it(serve: Serve) -> None:
    async with serve(Calls(), ws=Spied) as server:
        peer, call = await opened(server)
        async with peer:
            assert len(call.outlet.spy.writes) == 1

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        spies.append(scope["extensions"]["roomcast.outlet"]["outlet"].spy)
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "welcome"})
        await send({"type": "websocket.close"})

    spies: list[Spy] = []
    async with serve(app, ws=Spied) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        assert await peer.frame() == text_frame("welcome")
        assert await peer.frame() == close_frame(1000)
        assert len(spies[0].writes) == 1


async def test_sends_offers_and_pongs_keep_the_order_of_the_calls(serve: Serve) -> None:
    async with serve(Calls(), ws=Spied) as server:
        peer, call = await opened(server)
        async with peer:
            expected = []
            for number in range(60):
                text = f"{number} " * 30
                if number % 2:
                    await call.text(text)
                else:
                    assert call.outlet.offer(PreparedMessage(text))
                if number % 7 == 0:
                    await asyncio.sleep(0)
                expected.append(text_frame(text))
            assert [await peer.frame() for _ in range(60)] == expected


async def test_order_is_kept_where_much_waits(serve: Serve) -> None:
    async with serve(Calls(), send_buffer=16_384) as server:
        peer, call = await opened(server, receive_buffer=4096)
        async with peer:
            sending = asyncio.ensure_future(call.text("0" * 200_000))
            await turn()
            assert not sending.done()
            assert call.outlet.offer(PreparedMessage("1" * 1000))
            second = asyncio.ensure_future(call.text("2" * 1000))
            await turn()
            assert call.outlet.offer(PreparedMessage("3" * 1000))
            got = [await peer.frame() for _ in range(4)]
            assert [one.payload[:1] for one in got if one is not None] == [b"0", b"1", b"2", b"3"]
            await asyncio.gather(sending, second)


async def test_many_pings_in_one_read_are_answered_in_one_write(serve: Serve) -> None:
    async with serve(Calls(), ws=Spied) as server:
        peer, call = await opened(server)
        async with peer:
            spy = call.outlet.spy
            spy.writes.clear()
            await peer.write(b"".join(frame(PING, b"%d" % number) for number in range(20)))
            for number in range(20):
                assert await peer.frame() == Frame(PONG, b"%d" % number)
            assert len(spy.writes) == 1


async def test_reading_does_not_pause_for_each_message(serve: Serve) -> None:
    async with serve(Calls(), ws=Spied) as server:
        peer, call = await opened(server)
        async with peer:
            spy = call.outlet.spy
            for number in range(200):
                await peer.send(str(number))
                assert (await call.receive())["text"] == str(number)
            assert (spy.pauses, spy.resumes) == (0, 0)


async def test_reading_pauses_once_at_the_bound_and_resumes_once_below_half_of_it(serve: Serve) -> None:
    async with serve(Calls(), ws=Spied) as server:
        peer, call = await opened(server)
        async with peer:
            spy = call.outlet.spy
            await peer.write(message_frame(b"x" * 936) * 20)  # 1000 each, as they are counted
            await turn()
            assert (spy.pauses, spy.resumes) == (1, 0)
            for _ in range(14):
                await call.receive()
            assert (spy.pauses, spy.resumes) == (1, 0)
            await call.receive()
            assert (spy.pauses, spy.resumes) == (1, 1)


async def test_a_transport_that_cannot_be_written_to_harms_no_other(serve: Serve, log: Log) -> None:
    async with serve(Calls(), ws=Spied) as server:
        broken, broken_call = await opened(server)
        peer, call = await opened(server)
        async with broken, peer:
            broken_call.outlet.spy.broken = True
            for one in (broken_call, call):
                await one.raw_send({"type": "websocket.send", "text": "x"})
            assert await peer.frame() == text_frame("x")
            assert await broken_call.disconnected() == (1006, "")
            (complaint,) = log.complaints()
            assert "the transport's own" in complaint
