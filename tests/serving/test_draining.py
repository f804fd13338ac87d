"""Stopping while clients are connected: they go in waves, and none of them holds the exit."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cluster.servers import SERVERS
from tests.programs import Program
from tests.server.peer import Frame, Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APPS = Path(__file__).parents[1] / "apps"
RESTART = 1012
SLACK = 2.0
"""Seconds that the processes may take to end besides, on a machine on which other tests run."""
MANY = ["--max-connections-per-address", "off", "--handshakes-per-second", "off"]
"""All clients of a test come from one address, and at once."""


@asynccontextmanager
async def serving(app: str, *options: str) -> AsyncIterator[tuple[Program, tuple[str, int]]]:
    """Serve an app, and give the program and its address."""
    arguments = [app] if app else []
    with Program.roomcast("serve", *arguments, "--port", "0", *MANY, *options, cwd=APPS) as program:
        line = await asyncio.to_thread(program.wait_for_line, r" on http://127\.0\.0\.1:(\d+) ")
        yield program, ("127.0.0.1", int(line[1]))


async def crowd(stack: AsyncExitStack, address: tuple[str, int], count: int, path: str = "/") -> list[Peer]:
    peers = [await stack.enter_async_context(await Peer.ask(address, path)) for _ in range(count)]
    return [await peer.opened() for peer in peers]


async def closed(peer: Peer, start: float) -> float:
    """Wait for the close, answer it, and give the seconds since the start."""
    frame = await peer.frame()
    while frame is not None and frame.opcode != 8:
        frame = await peer.frame()
    at = time.monotonic() - start
    assert frame is not None
    assert int.from_bytes(frame.payload[:2], "big") == RESTART
    await peer.close(RESTART)
    return at


async def exits(program: Program, start: float, seconds: float) -> None:
    assert await asyncio.to_thread(program.wait, seconds + 5) == 0
    assert time.monotonic() - start < seconds + SLACK, program.output
    assert "Traceback" not in program.output


async def test_three_hundred_clients_are_closed_in_waves() -> None:
    async with AsyncExitStack() as stack, serving("main:app", "--drain", "3s") as (program, address):
        peers = await crowd(stack, address, 300)
        start = time.monotonic()
        program.send_signal(signal.SIGTERM)
        times = sorted(await asyncio.gather(*(closed(peer, start) for peer in peers)))
        await exits(program, start, 3.0)
    # Two seconds of the three, in which as many go in each part.
    fifths = [sum(at < times[0] + part * 0.4 for at in times) for part in (1, 2, 3, 4)]
    assert times[-1] - times[0] > 1.5, times
    assert all(abs(gone - part * 60) < 30 for part, gone in enumerate(fifths, 1)), times


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["alone", "many"])
async def test_clients_that_read_nothing_and_answer_nothing_do_not_hold_the_exit(options: list[str]) -> None:
    async with AsyncExitStack() as stack, serving("main:flood", "--drain", "2s", *options) as (program, address):
        for _ in range(20):
            peer = await Peer.ask(address, receive_buffer=4096)
            await stack.enter_async_context(peer)
            await peer.opened()
        start = time.monotonic()
        program.send_signal(signal.SIGTERM)
        await exits(program, start, 2.0)


async def test_a_client_that_reads_gets_all_that_was_queued_before_the_close() -> None:
    async with AsyncExitStack() as stack, serving("main:flood", "--drain", "3s") as (program, address):
        peer = await stack.enter_async_context(await Peer.ask(address, "/?messages=50", receive_buffer=4096))
        await peer.opened()
        first = await peer.frame()
        assert first is not None
        program.send_signal(signal.SIGTERM)
        frames = [first, *await read_to_the_close(peer)]
        assert [int(frame.payload[:8]) for frame in frames] == list(range(50))
        assert await asyncio.to_thread(program.wait) == 0


async def read_to_the_close(peer: Peer) -> list[Frame]:
    frames = []
    while (frame := await peer.frame()) is not None and frame.opcode != 8:
        frames.append(frame)
    await peer.close(RESTART)
    return frames


async def test_while_it_drains_it_is_not_ready_and_takes_no_websocket() -> None:
    async with (
        AsyncExitStack() as stack,
        serving("", "--drain", "3s", "--metrics-port", "0") as (program, address),
    ):
        url = f"http://{address[0]}:{address[1]}"
        operators = (await asyncio.to_thread(program.wait_for_line, r"metrics on (http://\S+)/metrics"))[1]
        peers = await crowd(stack, address, 40, "/ws/echo")
        async with httpx.AsyncClient() as http:
            for place in (url, operators):
                assert (await http.get(f"{place}/readyz")).json() == {"status": "ok"}
            start = time.monotonic()
            program.send_signal(signal.SIGTERM)
            await asyncio.gather(*(closed(peer, start) for peer in peers[:-1]))
            for place in (url, operators):
                answer = await http.get(f"{place}/readyz")
                assert answer.status_code == 503, place
                assert answer.json() == {"status": "unavailable", "problems": ["draining"]}
                assert (await http.get(f"{place}/healthz")).is_success
        async with await Peer.ask(address, "/ws/echo") as late:
            response = await late.response()
            assert (response.status, response["retry-after"]) == (503, "1")
        await closed(peers[-1], start)
        await exits(program, start, 3.0)


@pytest.mark.parametrize(
    "options",
    [["--drain", "30s"], ["--drain", "30s", "--workers", "2"], ["--reload"]],
    ids=["alone", "many", "reload"],
)
async def test_a_second_sigterm_ends_it_at_once(options: list[str]) -> None:
    async with AsyncExitStack() as stack, serving("main:stubborn", *options) as (program, address):
        await crowd(stack, address, 3)
        program.send_signal(signal.SIGTERM)
        if "--reload" not in options:
            await asyncio.to_thread(program.wait_for_line, "Waiting for connections")
        start = time.monotonic()
        program.send_signal(signal.SIGTERM)
        await exits(program, start, 4.0)


@pytest.mark.parametrize("broker", SERVERS)
async def test_a_second_sigterm_waits_for_no_broker(broker: str, tmp_path: Path) -> None:
    """Not even for its word that 50 members have left."""
    with SERVERS[broker](tmp_path) as server:
        async with (
            AsyncExitStack() as stack,
            serving("", "--broker", server.url, "--drain", "30s") as (program, address),
        ):
            await crowd(stack, address, 50, "/ws/chat?room=r")
            program.send_signal(signal.SIGTERM)
            await asyncio.to_thread(program.wait_for_line, "Waiting for connections")
            start = time.monotonic()
            program.send_signal(signal.SIGTERM)
            await exits(program, start, 1.0)


async def test_a_terminals_ctrl_c_is_one_signal_for_each_worker() -> None:
    async with (
        AsyncExitStack() as stack,
        serving("main:app", "--workers", "2", "--drain", "2s") as (program, address),
    ):
        peers = await crowd(stack, address, 10)
        start = time.monotonic()
        program.press_ctrl_c()
        await asyncio.gather(*(closed(peer, start) for peer in peers))
        await exits(program, start, 2.0)


async def test_workers_close_their_clients_in_waves() -> None:
    async with (
        AsyncExitStack() as stack,
        serving("main:app", "--workers", "2", "--drain", "3s") as (program, address),
    ):
        peers = await crowd(stack, address, 100)
        start = time.monotonic()
        program.send_signal(signal.SIGTERM)
        times = sorted(await asyncio.gather(*(closed(peer, start) for peer in peers)))
        await exits(program, start, 3.0)
    assert times[-1] - times[0] > 1.0, times


async def test_a_reload_waits_for_no_socket() -> None:
    async with AsyncExitStack() as stack, serving("main:stubborn", "--reload") as (program, address):
        await crowd(stack, address, 50)
        start = time.monotonic()
        program.send_signal(signal.SIGTERM)
        await exits(program, start, 3.0)


async def test_a_plain_uvicorn_closes_in_waves_too() -> None:
    command = ["-m", "uvicorn", "main:app", "--port", "0", "--ws", "roomcast.server.uvicorn:WebSocketProtocol"]
    with Program(sys.executable, *command, cwd=APPS, env={"ROOMCAST_WS_DRAIN": "3"}) as program:
        line = await asyncio.to_thread(program.wait_for_line, r"running on http://127\.0\.0\.1:(\d+)")
        async with AsyncExitStack() as stack:
            peers = await crowd(stack, ("127.0.0.1", int(line[1])), 100)
            silent, others = peers[0], peers[1:]
            start = time.monotonic()
            program.send_signal(signal.SIGTERM)
            times = sorted(await asyncio.gather(*(closed(peer, start) for peer in others)))
            assert times[-1] - times[0] > 1.0, times
            await asyncio.to_thread(program.wait)
            assert time.monotonic() - start < 3.5
            del silent
