"""A client that vanishes without a word: a real process that is stopped, which answers nothing any more."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.client import connect

from roomcast import Disconnected, Rooms, WebSocket
from roomcast.testing import LiveServer
from tests.rooms.guests import DEADLINE, notices

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

CLIENT = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1]) as client:
    print("open", flush=True)
    for message in client:
        pass
"""
PING = {"ws_ping_interval": 0.4, "ws_ping_timeout": 0.4}


@pytest.mark.parametrize("handler", ["receives", "is busy"])
@pytest.mark.parametrize("ws", ["roomcast.server.uvicorn:WebSocketProtocol", "websockets-sansio"])
def test_a_member_that_vanished_is_gone_after_the_deadline_of_its_ping(ws: str, handler: str) -> None:
    rooms = Rooms("memory://", encoder=notices)
    loops: list[asyncio.AbstractEventLoop] = []
    patience: list[asyncio.Event] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            loops.append(asyncio.get_running_loop())
            patience.append(asyncio.Event())
            return
        connection = WebSocket(scope, receive, send)
        try:
            async with rooms.join("r", connection, info=connection.path[1:]) as member:
                if handler == "is busy" and connection.path == "/a":
                    await patience[0].wait()
                async for _ in member:
                    pass
        except Disconnected:
            return

    def present() -> list[Any]:
        members = asyncio.run_coroutine_threadsafe(rooms.members("r"), loops[0]).result(DEADLINE)
        return [member.info for member in members]

    with LiveServer(rooms.wrap(app), ws=ws, **PING) as server, connect(f"{server.ws_url}/listener") as listener:
        command = [sys.executable, "-c", CLIENT, f"{server.ws_url}/a"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            try:
                assert client.stdout is not None
                assert client.stdout.readline() == "open\n"
                assert listener.recv(DEADLINE) == "+a"
                assert present() == ["listener", "a"]
                client.send_signal(signal.SIGSTOP)
                stopped = time.monotonic()
                assert listener.recv(DEADLINE) == "-a"
                assert time.monotonic() - stopped < 3
                assert present() == ["listener"]
            finally:
                client.kill()
        loops[0].call_soon_threadsafe(patience[0].set)
