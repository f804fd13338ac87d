"""How connections end: by the peer, by the app, by an error, in every order (RFC 6455, section 7)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roomcast.errors import Disconnected
from tests.protocol.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from tests.server.peer import Frame, Peer, close_frame, message_frame, opened, text_frame, turn
from tests.server.serving import TIMEOUT, Calls, echo, protocol_with

if TYPE_CHECKING:
    from tests.server.serving import Serve

CLOSE_3000 = frame(CLOSE, (3000).to_bytes(2, "big"))


def elapsed_since(start: float) -> float:
    return asyncio.get_running_loop().time() - start


async def test_what_came_before_the_peers_close_is_answered_before_it(serve: Serve) -> None:
    async with serve(echo) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        await peer.write(b"".join(message_frame(str(n)) for n in range(50)) + CLOSE_3000)
        assert await peer.frames() == [*(text_frame(str(n)) for n in range(50)), close_frame(3000)]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(3), 1002),
        (frame(TEXT, b"x", key=None), 1002),
        (frame(TEXT, b"x", rsv=4), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(CLOSE, b"x"), 1002),
        (frame(CLOSE, (1005).to_bytes(2, "big")), 1002),
        (frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"ok \xff", fin=False), 1007),
        (frame(BINARY, b"x" * 2000), 1009),
        (frame(BINARY, b"", length=1 << 40), 1009),
    ],
)
async def test_what_came_before_a_protocol_error_is_answered_before_the_close(
    serve: Serve, bad: bytes, code: int
) -> None:
    async with serve(Calls(), ws_max_size=1000) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(message_frame("a") + message_frame("b") + bad + message_frame("never"))
            for text in ("a", "b"):
                assert (await call.receive())["text"] == text
                await call.text(text)
            disconnect = await call.disconnected()
            assert disconnect[0] == code
            assert 0 < len(disconnect[1]) < 124
            *answers, last = [await peer.frame(), await peer.frame(), await peer.frame()]
            assert answers == [text_frame("a"), text_frame("b")]
            assert last == close_frame(*disconnect)
            assert await peer.frames() == []


async def test_a_peer_that_goes_on_sending_after_its_error_still_reads_the_close_frame(serve: Serve) -> None:
    async with serve(echo) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        await peer.write(frame(3))
        await peer.write(b"x" * 50_000)
        assert (await peer.frame() or Frame(0, b"")).payload[:2] == (1002).to_bytes(2, "big")
        await peer.write(b"x" * 50_000)
        assert await peer.frames() == []


async def test_a_peer_that_never_ends_after_its_error_is_cut_off(serve: Serve) -> None:
    async with serve(echo, settings={"close_timeout": 0.1}) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        await peer.write(frame(3))
        async with asyncio.timeout(TIMEOUT):
            while True:
                try:
                    await peer.write(b"x" * 1000)
                except OSError:
                    break
                await asyncio.sleep(0)


async def test_an_app_that_never_receives_again_does_not_hold_the_close_for_long(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(message_frame("a") + CLOSE_3000)
            assert (await call.receive())["text"] == "a"
            start = asyncio.get_running_loop().time()
            assert await peer.frame() == close_frame(3000)
            assert 0.8 < elapsed_since(start) < 3
            with pytest.raises(Disconnected):
                await call.text("too late")
            assert await call.disconnected() == (3000, "")


async def test_a_peer_that_goes_on_sending_after_its_close_does_not_hold_it_for_longer(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(message_frame("a") + CLOSE_3000)
            assert (await call.receive())["text"] == "a"
            start = asyncio.get_running_loop().time()
            closed = asyncio.ensure_future(peer.frame())
            while not closed.done() and elapsed_since(start) < 4:
                await peer.write(b"x")
                await asyncio.wait([closed], timeout=0.05)
            assert closed.done()
            assert closed.result() == close_frame(3000)
            assert elapsed_since(start) < 3


async def test_without_a_message_to_answer_the_close_is_answered_at_once(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            start = asyncio.get_running_loop().time()
            await peer.close(3000, "x")
            assert await peer.frames() == [close_frame(3000, "x")]
            assert elapsed_since(start) < 0.7
            assert await call.disconnected() == (3000, "x")


async def test_the_apps_close_while_the_peers_waits_for_an_answer_ends_it_at_once(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(message_frame("a") + CLOSE_3000)
            await call.receive()
            await call.text("b")
            await call.send({"type": "websocket.close", "code": 4000})
            assert await peer.frames() == [text_frame("b"), close_frame(3000)]


async def test_both_sides_closing_at_once_send_one_close_frame_each(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.close(3000)
            await call.send({"type": "websocket.close", "code": 4000})
            assert await peer.frames() == [close_frame(4000)]
            assert await call.disconnected() == (4000, "")


async def test_a_peer_that_never_answers_the_close_is_cut_off_at_the_deadline(serve: Serve) -> None:
    async with serve(Calls(), settings={"close_timeout": 0.1}) as server:
        peer, call = await opened(server)
        async with peer:
            await call.send({"type": "websocket.close"})
            assert await peer.frames() == [close_frame(1000)]
        call.finish()
        await server.idle()


async def test_pings_while_closing_are_not_answered_and_do_not_hold_it(serve: Serve) -> None:
    async with serve(Calls(), settings={"close_timeout": 0.2}) as server:
        peer, call = await opened(server)
        async with peer:
            await call.send({"type": "websocket.close"})
            await peer.write(frame(PING, b"x"))
            await peer.send("ignored")
            await turn()
            await peer.close()
            assert await peer.frames() == [close_frame(1000)]


@pytest.mark.parametrize("how", ["vanish", "reset", "shut"])
async def test_a_peer_that_goes_while_the_close_waits_for_it_leaves_nothing(serve: Serve, how: str) -> None:
    async with serve(Calls(), settings={"close_timeout": 60}) as server:
        peer, call = await opened(server)
        async with peer:
            await call.send({"type": "websocket.close"})
            assert await peer.frame() == close_frame(1000)
            getattr(peer, how)()
            call.finish()
            await server.idle()


@pytest.mark.parametrize("last", [b"", CLOSE_3000])
async def test_a_peer_that_shuts_its_side_still_gets_its_answers(serve: Serve, last: bytes) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(message_frame("a") + message_frame("b") + last)
            peer.shut()
            await turn()
            for text in ("a", "b"):
                assert (await call.receive())["text"] == text
                await call.text(text)
            assert await call.disconnected() == (3000 if last else 1006, "")
            expected = [text_frame("a"), text_frame("b")] + ([close_frame(3000)] if last else [])
            assert await peer.frames() == expected


async def test_a_protocol_error_from_a_peer_that_has_shut_its_side_ends_at_once(serve: Serve) -> None:
    async with serve(Calls(), settings={"close_timeout": 60}) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(message_frame("a") + frame(3))
            peer.shut()
            await turn()
            await call.receive()
            assert (await call.disconnected())[0] == 1002
            assert len(await peer.frames()) == 1
            call.finish()
            await server.idle()


@pytest.mark.parametrize("how", ["vanish", "reset"])
async def test_a_peer_that_goes_while_its_close_waits_for_an_answer_keeps_its_code(serve: Serve, how: str) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        await peer.write(message_frame("a") + CLOSE_3000)
        assert (await call.receive())["text"] == "a"
        getattr(peer, how)()
        assert await call.disconnected() == (3000, "")


async def test_a_message_over_the_limit_is_1009(serve: Serve) -> None:
    async with serve(Calls(), ws_max_size=1000) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.send("x" * 1000)
            assert len((await call.receive())["text"]) == 1000
            await peer.write(frame(TEXT, b"x" * 600, fin=False))
            await peer.write(frame(CONTINUATION, b"x" * 401))
            assert (await call.disconnected())[0] == 1009
            assert ((await peer.frame()) or Frame(0, b"")).payload[:2] == (1009).to_bytes(2, "big")


@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_a_flood_of_control_frames_is_1008(serve: Serve, opcode: int) -> None:
    async with serve(Calls(), settings={"max_control_frames": 10}) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(frame(opcode, b"x") * 500)
            assert (await call.disconnected())[0] == 1008
            *pongs, last = await peer.frames()
            assert len(pongs) <= (20 if opcode == PING else 0)
            assert last.payload[:2] == (1008).to_bytes(2, "big")


async def test_too_many_fragments_are_1008(serve: Serve) -> None:
    async with serve(Calls(), settings={"max_fragments": 10}) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 20)
            assert (await call.disconnected())[0] == 1008


async def test_bad_utf8_is_failed_at_its_first_bad_byte(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            head = frame(TEXT, b"ok \xff", length=1000)
            await peer.write(head)
            assert (await call.disconnected())[0] == 1007


async def test_a_peer_that_ends_within_a_frame_is_lost(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        await peer.write(message_frame("whole") + message_frame("half")[:7])
        peer.vanish()
        assert (await call.receive())["text"] == "whole"
        assert await call.disconnected() == (1006, "")


async def test_each_class_keeps_its_settings() -> None:
    assert protocol_with(close_timeout=1).settings != protocol_with(close_timeout=2).settings
