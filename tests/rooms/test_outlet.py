"""What is special to the outlet on a plain ASGI send; what every outlet does is in the contracts."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import TYPE_CHECKING

import pytest

from roomcast.protocol.prepared import PreparedMessage
from roomcast.rooms import AsgiOutlet
from tests.rooms.guests import settled, until

if TYPE_CHECKING:
    from starlette.types import Message


class Server:
    """An ASGI send that can be held up, in as many ways as servers find."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.sending = 0
        self.most_at_once = 0
        self.reads = asyncio.Event()
        self.reads.set()
        self.failure: BaseException | None = None
        self.stubborn = False

    async def send(self, event: Message) -> None:
        self.sending += 1
        self.most_at_once = max(self.most_at_once, self.sending)
        try:
            await self._wait()
            if self.failure is not None:
                raise self.failure
            self.taken.append(event)
        finally:
            self.sending -= 1

    async def _wait(self) -> None:
        while not self.reads.is_set():
            try:
                await self.reads.wait()
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def outlet(server: Server) -> AsgiOutlet:
    return AsgiOutlet(server.send)


def others() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_an_idle_outlet_has_no_task(server: Server, outlet: AsgiOutlet) -> None:
    assert others() == set()
    outlet.offer(PreparedMessage("hi"))
    await outlet.drained()
    await settled()
    assert others() == set()
    assert server.taken == [{"type": "websocket.send", "text": "hi"}]


async def test_the_server_is_asked_to_send_one_thing_at_a_time(server: Server, outlet: AsgiOutlet) -> None:
    server.reads.clear()
    for number in range(10):
        outlet.offer(PreparedMessage(str(number)))
        await asyncio.sleep(0)
    server.reads.set()
    await outlet.drained()
    assert server.most_at_once == 1
    assert len(server.taken) == 10


async def test_the_writer_of_a_closed_outlet_is_stopped_before_the_close_is_sent(
    server: Server, outlet: AsgiOutlet
) -> None:
    server.reads.clear()
    outlet.offer(PreparedMessage("unread"))
    await asyncio.sleep(0)
    outlet.close(4000)
    await settled()
    server.reads.set()
    await outlet.finish()
    assert server.taken == [{"type": "websocket.close", "code": 4000, "reason": ""}]
    assert server.most_at_once == 1


async def test_a_close_before_anything_was_written_drops_it(server: Server, outlet: AsgiOutlet) -> None:
    outlet.offer(PreparedMessage("unread"))
    outlet.close(4000, "enough")
    await outlet.finish()
    assert server.taken == [{"type": "websocket.close", "code": 4000, "reason": "enough"}]


@pytest.mark.usefixtures("impatient")
async def test_a_close_frame_that_nobody_takes_is_given_up(server: Server, outlet: AsgiOutlet) -> None:
    server.reads.clear()
    outlet.offer(PreparedMessage("unread"))
    outlet.close(4000)
    await until(lambda: not others())
    assert server.taken == []
    assert server.sending == 0


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_does_not_let_go_of_a_message_does_not_hold_up_the_end(
    server: Server, outlet: AsgiOutlet
) -> None:
    server.reads.clear()
    server.stubborn = True
    outlet.offer(PreparedMessage("unread"))
    await asyncio.sleep(0)
    outlet.close(4000)
    await asyncio.wait_for(outlet.finish(), 5)
    assert outlet.queued_bytes == 0
    server.reads.set()
    await until(lambda: not others())
    assert outlet.queued_bytes == 0


@pytest.mark.parametrize(
    "failure",
    [OSError("gone"), RuntimeError("Unexpected ASGI message"), ValueError("?"), asyncio.CancelledError()],
)
async def test_a_server_that_refuses_a_message_has_lost_the_connection(
    server: Server, outlet: AsgiOutlet, failure: BaseException
) -> None:
    closes: list[int] = []
    outlet.on_close(lambda code, _reason: closes.append(code))
    server.failure = failure
    outlet.offer(PreparedMessage("one"))
    outlet.offer(PreparedMessage("two"))
    await until(lambda: outlet.closed)
    assert closes == [1006]
    assert outlet.queued_bytes == 0
    assert not outlet.offer(PreparedMessage("three"))
    server.failure = None
    outlet.close(4000)
    await outlet.finish()
    assert server.taken == []
    assert others() == set()


@pytest.mark.parametrize("failure", [OSError("gone"), RuntimeError("after sending 'websocket.close'")])
async def test_a_close_frame_that_the_server_refuses_is_no_error(
    server: Server, outlet: AsgiOutlet, failure: BaseException
) -> None:
    server.failure = failure
    outlet.close(4000)
    await outlet.finish()
    assert outlet.closed


async def test_finishing_an_idle_outlet_closes_it_without_a_word(server: Server, outlet: AsgiOutlet) -> None:
    await outlet.finish()
    assert outlet.closed
    assert not outlet.offer(PreparedMessage("late"))
    outlet.close(4000)
    await settled()
    assert server.taken == []


async def test_finishing_writes_what_was_taken(server: Server, outlet: AsgiOutlet) -> None:
    for number in range(5):
        outlet.offer(PreparedMessage(str(number)))
    await outlet.finish()
    assert [event["text"] for event in server.taken] == ["0", "1", "2", "3", "4"]


async def test_finishing_takes_nothing_more(server: Server, outlet: AsgiOutlet) -> None:
    server.reads.clear()
    outlet.offer(PreparedMessage("one"))
    finishing = asyncio.ensure_future(outlet.finish())
    await asyncio.sleep(0)
    assert not outlet.offer(PreparedMessage("two"))
    server.reads.set()
    await finishing
    assert len(server.taken) == 1


async def test_finishing_calls_no_callback(outlet: AsgiOutlet) -> None:
    outlet.on_close(lambda _code, _reason: pytest.fail("it was not closed"))
    outlet.offer(PreparedMessage("one"))
    await outlet.finish()


@pytest.mark.usefixtures("impatient")
async def test_finishing_gives_up_on_a_peer_that_does_not_read(server: Server, outlet: AsgiOutlet) -> None:
    closes: list[int] = []
    outlet.on_close(lambda code, _reason: closes.append(code))
    server.reads.clear()
    outlet.offer(PreparedMessage("unread"))
    await asyncio.wait_for(outlet.finish(), 5)
    assert outlet.queued_bytes == 0
    assert closes == [], "it is the owner that ends it"
    await until(lambda: not others())
    assert server.sending == 0


async def test_finishing_that_is_cancelled_leaves_no_writer(server: Server, outlet: AsgiOutlet) -> None:
    server.reads.clear()
    outlet.offer(PreparedMessage("unread"))
    finishing = asyncio.ensure_future(outlet.finish())
    await settled()
    finishing.cancel()
    await asyncio.wait([finishing])
    assert finishing.cancelled()
    await until(lambda: not others())
    assert server.sending == 0


async def test_finishing_waits_for_a_close_that_is_under_way(server: Server, outlet: AsgiOutlet) -> None:
    server.reads.clear()
    outlet.close(4000)
    finishing = asyncio.ensure_future(outlet.finish())
    await settled()
    assert not finishing.done()
    server.reads.set()
    await finishing
    assert server.taken == [{"type": "websocket.close", "code": 4000, "reason": ""}]


async def test_messages_that_were_written_are_let_go_of(outlet: AsgiOutlet) -> None:
    message = PreparedMessage("hi")
    before = sys.getrefcount(message)
    outlet.offer(message)
    assert sys.getrefcount(message) > before
    await outlet.drained()
    gc.collect()
    assert sys.getrefcount(message) == before
