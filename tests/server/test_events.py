"""What the app receives and sends while the connection is open (ASGI: receive, send, close)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from roomcast.errors import Disconnected, InvalidClose, InvalidEvent, UnsupportedData
from tests.protocol.wire import BINARY, CONTINUATION, PING, PONG, TEXT, frame
from tests.server.peer import Frame, Peer, close_frame, message_frame, opened, text_frame, turn
from tests.server.serving import ACCEPT, TIMEOUT, Calls, echo

if TYPE_CHECKING:
    from tests.server.serving import Serve


class Text(str):
    """A str that is more than one, as template engines and enums make them."""

    __slots__ = ()


class Blob(bytes):
    """Bytes that are more than that."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ("", {"type": "websocket.receive", "text": ""}),
        (b"", {"type": "websocket.receive", "bytes": b""}),
        ("héllo ✓ 𝄞", {"type": "websocket.receive", "text": "héllo ✓ 𝄞"}),
        (b"\x00\xff", {"type": "websocket.receive", "bytes": b"\x00\xff"}),
        ("x" * 126, {"type": "websocket.receive", "text": "x" * 126}),
        (b"x" * 70_000, {"type": "websocket.receive", "bytes": b"x" * 70_000}),
    ],
)
async def test_a_message_is_one_event_with_exactly_one_of_text_and_bytes(
    serve: Serve, message: str | bytes, event: dict[str, Any]
) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.send(message)
            assert await call.receive() == event


async def test_fragments_are_joined_and_control_frames_between_them_answered(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(frame(TEXT, "é".encode()[:1], fin=False))
            await peer.write(frame(PING, b"between"))
            assert await peer.frame() == Frame(PONG, b"between")
            await peer.write(frame(CONTINUATION, "é".encode()[1:], fin=False))
            await peer.write(frame(CONTINUATION, b""))
            assert await call.receive() == {"type": "websocket.receive", "text": "é"}


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        ({"text": ""}, Frame(TEXT, b"")),
        ({"bytes": b""}, Frame(BINARY, b"")),
        ({"text": "é", "bytes": None}, Frame(TEXT, "é".encode())),
        ({"text": None, "bytes": b"x"}, Frame(BINARY, b"x")),
        ({"bytes": bytearray(b"x")}, Frame(BINARY, b"x")),
        ({"bytes": memoryview(b"xyz")[1:]}, Frame(BINARY, b"yz")),
        ({"text": Text("x")}, Frame(TEXT, b"x")),
        ({"bytes": Blob(b"x")}, Frame(BINARY, b"x")),
        ({"text": "x" * 200, "unknown": 7}, Frame(TEXT, b"x" * 200)),
        ({"bytes": b"x" * 100_000}, Frame(BINARY, b"x" * 100_000)),
    ],
)
async def test_send_takes_exactly_one_of_text_and_bytes(serve: Serve, event: dict[str, Any], sent: Frame) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await call.send({"type": "websocket.send"} | event)
            assert await peer.frame() == sent


@pytest.mark.parametrize(
    ("event", "error", "words"),
    [
        ({"type": "websocket.send"}, InvalidEvent, "'websocket.send' takes exactly one of text"),
        ({"type": "websocket.send", "text": "x", "bytes": b"x"}, InvalidEvent, "exactly one"),
        ({"type": "websocket.send", "text": b"x"}, InvalidEvent, "exactly one"),
        ({"type": "websocket.send", "bytes": "x"}, InvalidEvent, "exactly one"),
        ({"type": "websocket.send", "text": None, "bytes": None}, InvalidEvent, "exactly one"),
        ({"type": "websocket.send", "text": "\ud800"}, UnsupportedData, "UTF-8"),
        (
            {"type": "websocket.accept"},
            InvalidEvent,
            "'websocket.accept' does not fit here: the connection",
        ),
        ({"type": "websocket.http.response.start", "status": 401}, InvalidEvent, "the connection is open"),
        ({"type": "websocket.http.response.body"}, InvalidEvent, "the connection is open"),
        ({"type": "websocket.bogus"}, InvalidEvent, "'websocket.bogus' does not fit here"),
        ({"type": "http.response.start"}, InvalidEvent, "'http.response.start' does not fit here"),
        ({"text": "x"}, InvalidEvent, "None does not fit here"),
        ({"type": "websocket.close", "code": "1000"}, InvalidEvent, "'websocket.close' takes code"),
        ({"type": "websocket.close", "code": None}, InvalidEvent, "'websocket.close' takes code"),
        ({"type": "websocket.close", "reason": 7}, InvalidEvent, "'websocket.close' takes code"),
        ({"type": "websocket.close", "code": 1005}, InvalidClose, "1005"),
        ({"type": "websocket.close", "code": 999}, InvalidClose, "999"),
        ({"type": "websocket.close", "code": 1 << 40}, InvalidClose, str(1 << 40)),
        ({"type": "websocket.close", "reason": "x" * 124}, InvalidClose, "124"),
    ],
)
async def test_an_event_that_may_not_be_raises_and_the_connection_goes_on(
    serve: Serve, event: dict[str, Any], error: type[Exception], words: str
) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            with pytest.raises(error, match=words):
                await call.send(event)
            await call.text("still here")
            assert await peer.frame() == text_frame("still here")


@pytest.mark.parametrize(
    ("event", "closed"),
    [
        ({}, close_frame(1000)),
        ({"code": 3000}, close_frame(3000)),
        ({"code": 4001, "reason": "é"}, close_frame(4001, "é")),
        ({"reason": "x" * 123}, close_frame(1000, "x" * 123)),
        ({"reason": None, "unknown": 1}, close_frame(1000)),
    ],
)
async def test_close_says_code_and_reason_and_waits_for_the_peers(
    serve: Serve, event: dict[str, Any], closed: Frame
) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await call.text("before")
            await call.send({"type": "websocket.close"} | event)
            assert await peer.frame() == text_frame("before")
            assert await peer.frame() == closed
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer.socket, 1), 0.02)
            await peer.close()
            assert await peer.frame() is None
            assert (await call.disconnected())[0] == event.get("code", 1000)


@pytest.mark.parametrize(
    "event", [{"type": "websocket.send", "text": "x"}, {"type": "websocket.close"}, ACCEPT, {"type": "bogus"}]
)
async def test_after_the_apps_own_close_an_event_is_out_of_order(serve: Serve, event: dict[str, Any]) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await call.send({"type": "websocket.close"})
            with pytest.raises(InvalidEvent, match="the app has closed the connection"):
                await call.send(event)
            await peer.close()
            await peer.frames()
            with pytest.raises(InvalidEvent, match="the app has closed the connection"):
                await call.send(event)


async def test_messages_that_come_after_the_apps_close_are_not_given(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.send("waits")
            await turn()
            await call.send({"type": "websocket.close", "code": 4000, "reason": "enough"})
            await peer.send("late")
            await turn()
            event = await call.receive()
            assert event == {"type": "websocket.disconnect", "code": 4000, "reason": "enough"}


async def test_two_receives_at_once_get_one_message_each(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            both = [asyncio.create_task(call.receive()) for _ in range(3)]
            await turn()
            await peer.write(message_frame("a") + message_frame("b"))
            async with asyncio.timeout(TIMEOUT):
                done, waiting = await asyncio.wait(both[:2])
            assert sorted(task.result()["text"] for task in done) == ["a", "b"]
            assert not waiting
            await peer.close(3000)
            assert (await both[2])["code"] == 3000


async def test_a_receive_that_is_cancelled_loses_no_message(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            for number in range(50):
                task = asyncio.create_task(call.raw_receive())
                for _ in range(number % 5):
                    await asyncio.sleep(0)
                await peer.send(str(number))
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                task.cancel()
                outcome: Any = (await asyncio.gather(task, return_exceptions=True))[0]
                if isinstance(outcome, asyncio.CancelledError):
                    outcome = await call.receive()
                assert outcome == {"type": "websocket.receive", "text": str(number)}


async def test_receives_cancelled_again_and_again_beside_one_that_waits_lose_nothing(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            waiting = asyncio.create_task(call.receive())
            await asyncio.sleep(0)
            for _ in range(100):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(call.raw_receive(), 0)
            await peer.send("x")
            assert (await waiting)["text"] == "x"


async def test_receive_and_send_may_be_called_from_other_tasks(serve: Serve) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ARG001
        assert (await asyncio.create_task(receive()))["type"] == "websocket.connect"
        await asyncio.create_task(send(ACCEPT))
        while (event := await asyncio.ensure_future(receive()))["type"] == "websocket.receive":
            async with asyncio.TaskGroup() as group:
                group.create_task(send({"type": "websocket.send", "text": event["text"]}))

    async with serve(app) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        await peer.send("x")
        assert await peer.frame() == text_frame("x")
        await peer.close()
        assert await peer.frames() == [close_frame(1000)]


@pytest.mark.parametrize(("code", "reason"), [(1000, "bye"), (1001, ""), (3000, "é"), (4999, "x" * 123)])
async def test_the_disconnect_has_the_peers_code_and_reason_as_often_as_asked(
    serve: Serve, code: int, reason: str
) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.close(code, reason)
            for _ in range(3):
                assert await call.disconnected() == (code, reason)
            assert await peer.frames() == [close_frame(code, reason)]
            with pytest.raises(Disconnected) as raised:
                await call.text("x")
            assert isinstance(raised.value, OSError)
            assert (raised.value.code, raised.value.reason) == (code, reason)
            with pytest.raises(OSError, match=str(code)):
                await call.send({"type": "websocket.close"})


async def test_a_close_frame_without_a_code_is_1005_and_answered_without_one(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.close(None)
            assert await call.disconnected() == (1005, "")
            assert await peer.frames() == [Frame(8, b"")]


@pytest.mark.parametrize("how", ["vanish", "reset", "shut"])
async def test_a_connection_lost_without_a_close_frame_is_1006(serve: Serve, how: str) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.send("last")
            assert await call.receive() == {"type": "websocket.receive", "text": "last"}
            getattr(peer, how)()
            assert await call.disconnected() == (1006, "")
            with pytest.raises(OSError, match="1006"):
                await call.text("x")


async def test_messages_before_a_lost_connection_are_given(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.write(b"".join(message_frame(str(number)) for number in range(100)))
            peer.vanish()
            for number in range(100):
                assert (await call.receive())["text"] == str(number)
            assert await call.disconnected() == (1006, "")


async def test_echo_keeps_order_and_kinds_over_thousands_of_messages(serve: Serve, http: str) -> None:
    async with serve(echo, http=http) as server, await Peer.ask(server.address) as peer:
        await peer.opened()
        messages: list[str | bytes] = [str(n) if n % 3 else bytes(n % 500) for n in range(3000)]
        writing = asyncio.ensure_future(peer.write(b"".join(map(message_frame, messages))))
        for message in messages:
            got = await peer.frame()
            assert got is not None
            assert got.payload == (message if isinstance(message, bytes) else message.encode())
            assert got.opcode == (BINARY if isinstance(message, bytes) else TEXT)
        await writing
