"""Receiving through a connection that may be closed from elsewhere: who is woken by what, and never by mistake."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import Disconnected, WebSocket
from roomcast.protocol.prepared import PreparedMessage
from roomcast.rooms.connection import Connection
from roomcast.rooms.faces import as_websocket
from roomcast.rooms.outlet import AsgiOutlet
from tests.rooms.guests import settled, until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import Message, Receive

CLOSE = (4020, "too slow")


class Server:
    """The server's side of an accepted connection whose peer never answers by itself."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.failure: Exception | None = None

    async def send(self, event: Message) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append(event)

    def give(self, text: str) -> None:
        self.events.put_nowait({"type": "websocket.receive", "text": text})


@pytest.fixture
def server() -> Server:
    return Server()


def served_by(
    receive: Receive, server: Server, on_close: Callable[[Connection], None] = lambda _connection: None
) -> Connection:
    scope = {"type": "websocket", "path": "/", "headers": []}
    ws = as_websocket(WebSocket(scope, receive, server.send, accepted=True))
    return Connection(ws, bound=1000, on_close=on_close)


@pytest.fixture
def closed() -> list[Connection]:
    """The connections that have told that they closed."""
    return []


@pytest.fixture
def connection(server: Server, closed: list[Connection]) -> Connection:
    return served_by(server.events.get, server, closed.append)


async def waiting(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start it, and let it go as far as it goes."""
    task = asyncio.ensure_future(coroutine)
    await settled()
    assert not task.done()
    return task


async def outcome(task: asyncio.Task[Any]) -> object:
    """What a task ends with: a value, or an exception."""
    await asyncio.wait([task], timeout=5)
    assert task.done(), "it waits for ever"
    return asyncio.CancelledError if task.cancelled() else task.exception() or task.result()


async def receive_and_go_on(connection: Connection) -> str:
    """Receive, and then do something that waits: nothing may come of the interruption."""
    try:
        await connection.receive()
    except Disconnected as error:
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        for _ in range(5):
            await asyncio.sleep(0)
        return f"ended {error.code}"
    return "received"


# What ends the waiting


async def test_messages_are_received_as_they_come(connection: Connection, server: Server) -> None:
    server.give("one")
    receiving = asyncio.ensure_future(connection.receive())
    assert await receiving == "one"
    receiving = await waiting(connection.receive())
    server.give("two")
    assert await outcome(receiving) == "two"


async def test_a_close_of_the_outlet_wakes_who_receives_though_the_peer_never_answers(
    connection: Connection, closed: list[Connection]
) -> None:
    receiving = await waiting(receive_and_go_on(connection))
    connection.outlet.close(*CLOSE)
    assert await outcome(receiving) == "ended 4020"
    assert (connection.ws.close_code, connection.ws.close_reason) == CLOSE
    assert closed == [connection]
    await connection.finish()


async def test_a_full_outlet_wakes_who_receives(connection: Connection) -> None:
    receiving = await waiting(receive_and_go_on(connection))
    while connection.outlet.offer(PreparedMessage("x" * 600)):
        pass
    assert await outcome(receiving) == "ended 4020"
    await connection.finish()


async def test_a_close_while_nobody_receives_is_told_to_the_next_who_does(
    connection: Connection, server: Server
) -> None:
    server.give("unread")
    connection.outlet.close(*CLOSE)
    for _ in range(3):
        with pytest.raises(Disconnected) as caught:
            await connection.receive()
        assert (caught.value.code, caught.value.reason) == CLOSE
    await settled()
    await connection.finish()


async def test_the_disconnect_ends_the_connection_with_its_own_code(
    connection: Connection, server: Server, closed: list[Connection]
) -> None:
    server.events.put_nowait({"type": "websocket.disconnect", "code": 1001, "reason": "bye"})
    with pytest.raises(Disconnected) as caught:
        await connection.receive()
    assert (caught.value.code, caught.value.reason) == (1001, "bye")
    assert closed == [connection]


async def test_closing_what_the_peer_has_ended_does_not_change_how_it_ended(
    connection: Connection, server: Server
) -> None:
    server.events.put_nowait({"type": "websocket.disconnect", "code": 1001})
    for _ in range(2):
        with pytest.raises(Disconnected) as caught:
            await connection.receive()
        assert caught.value.code == 1001
        connection.outlet.close(*CLOSE)
    assert connection.ws.close_code == 1001
    await connection.finish()


async def test_everybody_who_receives_is_woken(connection: Connection) -> None:
    receiving = [await waiting(receive_and_go_on(connection)) for _ in range(3)]
    connection.outlet.close(*CLOSE)
    assert [await outcome(task) for task in receiving] == ["ended 4020"] * 3
    await connection.finish()


async def test_what_is_closed_before_it_is_open_is_closed_when_it_is(server: Server) -> None:
    """As on a server whose own outlet has nothing to close yet."""

    class Opening(AsgiOutlet):
        def close(self, code: int, reason: str = "") -> None:
            if server.sent:
                super().close(code, reason)

    server.events.put_nowait({"type": "websocket.connect"})
    outlet = {"outlet": Opening(server.send)}
    scope = {"type": "websocket", "path": "/", "headers": [], "extensions": {"roomcast.outlet": outlet}}
    ws = as_websocket(WebSocket(scope, server.events.get, server.send))
    connection = Connection(ws, bound=1000, on_close=lambda _connection: None)
    connection.close(*CLOSE)
    assert not connection.outlet.closed
    await connection.accept(None)
    assert connection.outlet.closed
    await connection.finish()
    assert [event["type"] for event in server.sent] == ["websocket.accept", "websocket.close"]


# A lost connection


async def test_of_a_lost_connection_the_server_tells_the_code(connection: Connection, server: Server) -> None:
    receiving = await waiting(receive_and_go_on(connection))
    server.failure = OSError("gone")
    connection.outlet.offer(PreparedMessage("x"))
    await settled()
    assert not receiving.done()
    server.events.put_nowait({"type": "websocket.disconnect", "code": 1001})
    assert await outcome(receiving) == "ended 1001"
    await connection.finish()


@pytest.mark.parametrize("failure", [OSError("gone"), RuntimeError("a broken middleware")])
@pytest.mark.usefixtures("impatient")
async def test_a_server_that_never_tells_of_a_lost_connection_is_not_waited_for(
    connection: Connection, server: Server, failure: Exception
) -> None:
    receiving = await waiting(receive_and_go_on(connection))
    server.failure = failure
    connection.outlet.offer(PreparedMessage("x"))
    assert await outcome(receiving) == "ended 1006"
    await connection.finish()


@pytest.mark.usefixtures("impatient")
async def test_a_lost_connection_that_is_over_is_not_looked_after(connection: Connection, server: Server) -> None:
    server.failure = OSError("gone")
    connection.outlet.offer(PreparedMessage("x"))
    await until(lambda: connection.outlet.closed)
    await connection.finish()
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, passed.set)
    await passed.wait()
    assert connection.ws.close_code is None


# Cancellations that are somebody else's


async def test_a_cancellation_is_a_cancellation(connection: Connection, server: Server) -> None:
    receiving = await waiting(connection.receive())
    receiving.cancel()
    assert await outcome(receiving) is asyncio.CancelledError
    server.give("not lost")
    assert await connection.receive() == "not lost"


@pytest.mark.parametrize("order", ["cancel first", "close first"])
async def test_a_cancellation_at_the_same_time_as_a_close_is_not_swallowed(
    connection: Connection, order: str
) -> None:
    receiving = await waiting(receive_and_go_on(connection))
    calls: list[Callable[[], object]] = [receiving.cancel, lambda: connection.outlet.close(*CLOSE)]
    for call in calls if order == "cancel first" else reversed(calls):
        call()
    assert await outcome(receiving) is asyncio.CancelledError
    await connection.finish()


async def test_a_cancellation_a_moment_after_a_close_is_not_swallowed(connection: Connection) -> None:
    for turns in range(6):
        await asyncio.sleep(0)
        reached = 0

        async def go_on() -> None:
            nonlocal reached
            try:
                await connection.receive()
            except Disconnected:
                reached += 1
            await asyncio.Event().wait()

        receiving = asyncio.ensure_future(go_on())
        await asyncio.sleep(0)
        connection.outlet.close(*CLOSE)
        for _ in range(turns):
            await asyncio.sleep(0)
        receiving.cancel()
        assert await outcome(receiving) is asyncio.CancelledError
    await connection.finish()


async def test_a_deadline_outside_is_a_deadline(connection: Connection, server: Server) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await connection.receive()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    server.give("not lost")
    assert await connection.receive() == "not lost"


async def test_a_deadline_outside_at_the_same_time_as_a_close_is_not_swallowed(connection: Connection) -> None:
    async def receive() -> str:
        try:
            async with asyncio.timeout(None) as deadline:
                deadlines.append(deadline)
                await connection.receive()
        except TimeoutError:
            await asyncio.sleep(0)
            return "timeout"
        return "none"

    deadlines: list[asyncio.Timeout] = []
    receiving = await waiting(receive())
    connection.outlet.close(*CLOSE)
    deadlines[0].reschedule(0)
    assert await outcome(receiving) == "timeout"
    await connection.finish()


async def test_a_close_within_a_deadline_leaves_the_deadline_alone(connection: Connection) -> None:
    async def receive() -> str:
        async with asyncio.timeout(5) as deadline:
            result = await receive_and_go_on(connection)
        assert not deadline.expired()
        return result

    receiving = await waiting(receive())
    connection.outlet.close(*CLOSE)
    assert await outcome(receiving) == "ended 4020"
    await connection.finish()


async def test_a_handler_that_survived_a_cancellation_is_woken_all_the_same(connection: Connection) -> None:
    """Its task counts one cancellation for good, which is not the one that a close makes."""

    async def stubborn() -> str:
        try:
            await connection.receive()
        except asyncio.CancelledError:
            try:
                await connection.receive()
            except Disconnected as error:
                await asyncio.sleep(0)
                return f"ended {error.code}"
        return "received"

    receiving = await waiting(stubborn())
    receiving.cancel()
    await settled()
    assert not receiving.done()
    connection.outlet.close(*CLOSE)
    assert await outcome(receiving) == "ended 4020"
    await connection.finish()


@pytest.mark.parametrize("close_first", [True, False])
async def test_a_message_and_a_close_in_the_same_moment_leave_no_cancellation_behind(
    connection: Connection, server: Server, close_first: bool
) -> None:
    receiving = await waiting(receive_and_go_on(connection))
    if close_first:
        connection.outlet.close(*CLOSE)
    server.give("a message")
    if not close_first:
        connection.outlet.close(*CLOSE)
    assert await outcome(receiving) in {"ended 4020", "received"}
    await connection.finish()


@pytest.mark.parametrize("waits", [True, False])
async def test_a_close_by_the_receiving_task_itself_leaves_no_cancellation_behind(
    server: Server, waits: bool
) -> None:
    """As where a middleware's receive publishes what it has received, and the member's own outlet is full."""

    async def receive() -> Message:
        event = await server.events.get()
        own.outlet.close(*CLOSE)
        return event

    async def handler() -> list[object]:
        received: list[object] = [await own.receive()]
        await asyncio.sleep(0)
        try:
            await own.receive()
        except Disconnected as error:
            received.append(error.code)
        await asyncio.sleep(0)
        return received

    own = served_by(receive, server)
    if not waits:
        server.give("hi")
    handling = asyncio.ensure_future(handler())
    await settled()
    if waits:
        server.give("hi")
    assert await outcome(handling) == ["hi", 4020]
    await own.finish()


async def test_a_timeout_of_the_server_itself_is_the_servers(server: Server) -> None:
    async def receive() -> Message:
        raise TimeoutError("the server's own")

    connection = served_by(receive, server)
    with pytest.raises(TimeoutError, match="the server's own"):
        await connection.receive()


async def test_a_task_group_around_is_cancelled_as_one(connection: Connection) -> None:
    async def handler() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            await connection.receive()

    async def fail() -> None:
        await settled()
        raise ZeroDivisionError

    handling = asyncio.ensure_future(handler())
    error = await outcome(handling)
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(ZeroDivisionError)
    connection.outlet.close(*CLOSE)
    await connection.finish()


async def test_the_end_is_told_again_without_the_frames_to_which_it_was_told_before(server: Server) -> None:
    connection = served_by(server.events.get, server)
    server.events.put_nowait({"type": "websocket.disconnect", "code": 1001, "reason": "gone"})
    frames = []
    for _ in range(3):
        with pytest.raises(Disconnected) as told:
            await connection.receive()
        assert (told.value.code, told.value.reason) == (1001, "gone")
        frames.append(len(told.traceback))
    assert frames[1] == frames[2], "each time it had more to keep alive"
