"""A very large room does not stop the event loop: its messages are written so many at a time, in order.

How long that takes, the benchmarks say (`crowd`). Here is how it comes about, which no busy machine can disturb.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from roomcast import Rooms, WebSocket
from roomcast.rooms.turns import STARTS
from tests.programs import Program
from tests.rooms.guests import until
from tests.rooms.writes import Writes, counting
from tests.server.peer import Peer, text_frame
from tests.server.serving import serving

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

SLICE = 128
"""How many connections our server writes to in one turn, of those that wait and of those that are new."""
CROWD = 10_000
OTHERS = 1000
"""How many files this process has open besides."""
CLIENT = Path(__file__).with_name("crowd.py")


def as_many_as_fit() -> int:
    """Give the size of the crowd: 10,000, or fewer where this process may not open so many files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return CROWD if most == resource.RLIM_INFINITY else min(CROWD, most - OTHERS)


@pytest.mark.timeout(300)
async def test_a_room_of_ten_thousand_gives_everybody_else_turns() -> None:
    count = as_many_as_fit()
    assert count > 4 * SLICE, "too few files may be open for a crowd"
    writes = Writes()
    written_before_the_echo: list[int] = []
    async with Rooms("memory://") as rooms:

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            ws = WebSocket(scope, receive, send)
            if ws.path == "/crowd":
                async with rooms.join("crowd", ws) as member:
                    async for _ in member:
                        pass
            else:
                await ws.accept()
                async for message in ws:
                    written_before_the_echo.append(writes.total)
                    await ws.send(message)

        async with serving(application, ws=counting(writes)) as server:
            port = server.address[1]
            with Program(sys.executable, CLIENT, str(port), str(count), "5") as crowd:
                await asyncio.to_thread(crowd.wait_for_line, "open", 200)
                assert await rooms.count("crowd") == count
                outsider = await Peer.ask(server.address, "/echo")
                await outsider.opened()
                writes.start()
                await outsider.send("how long?")
                await rooms.publish("crowd", "0")
                await asyncio.sleep(0)  # the echo is read in this turn at the earliest
                for number in range(1, 5):  # while the first is on its way
                    await rooms.publish("crowd", str(number))
                assert await outsider.frame() == text_frame("how long?")
                await asyncio.to_thread(crowd.wait_for_line, "heard", 100)
                by_turn = writes.stop()
                outsider.vanish()
    assert max(by_turn) <= 2 * SLICE, "what is new, and what is late"
    assert sum(1 for written in by_turn if written) >= count / (2 * SLICE)
    assert count < sum(by_turn) <= 5 * count + 1
    assert written_before_the_echo[0] < count / 2


async def test_a_large_room_on_a_server_of_others_gives_everybody_else_turns() -> None:
    count = 8 * STARTS
    writes = Writes()
    heard: list[list[str]] = [[] for _ in range(count)]

    def guest(number: int) -> tuple[Scope, Receive, Send]:
        events: asyncio.Queue[Message] = asyncio.Queue()
        events.put_nowait({"type": "websocket.connect"})

        async def send(event: Message) -> None:
            if event["type"] == "websocket.send":
                writes.add()
                heard[number].append(event["text"])

        return {"type": "websocket", "extensions": {}}, events.get, send

    async with Rooms("memory://") as rooms:
        members = [await rooms.enter("crowd", guest(number)) for number in range(count)]
        writes.start()
        for number in range(3):
            await rooms.publish("crowd", str(number))
        await until(lambda: writes.total == 3 * count)
        by_turn = writes.stop()
        for member in members:
            await member.leave()
    assert heard == [["0", "1", "2"]] * count
    assert max(by_turn) <= 3 * STARTS, "each has three to write once it is started"
    assert sum(1 for written in by_turn if written) >= count / STARTS
