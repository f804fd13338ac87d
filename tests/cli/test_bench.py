"""`roomcast bench` against real servers."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from roomcast import WebSocket, websocket_app
from roomcast.testing import LiveServer
from tests.cli.piped import complaint, free_port, roomcast
from tests.cli.terminal import CTRL_C, Terminal

if TYPE_CHECKING:
    from pathlib import Path

SHORT = ["--connections", "5", "--rate", "50", "--seconds", "1"]


def measured(*arguments: str | Path, status: int = 0) -> dict[str, Any]:
    done = roomcast("bench", *arguments, "--json")
    assert done.returncode == status, done
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_echoes_are_measured(chat: LiveServer) -> None:
    result = measured(chat.url, *SHORT, "--size", "1000", "--deflate")
    assert result["url"] == f"{chat.ws_url}/ws/echo"
    assert (result["mode"], result["sent"], result["deliveries"], result["missing"]) == ("echo", 50, 50, 0)
    latency = result["latency"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"] < 5000
    assert 40 < result["deliveries_per_second"] < 60
    assert 0 < result["cpu"] < 1


def test_in_a_room_each_message_is_for_all(chat: LiveServer) -> None:
    result = measured(chat.url, *SHORT, "--room", "bench")
    assert (result["mode"], result["sent"], result["deliveries"], result["missing"]) == ("room", 50, 250, 0)


def test_a_person_sees_percentiles_bars_and_whether_to_believe_them(chat: LiveServer, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    with Terminal("bench", chat.url, *SHORT, "--report", report) as terminal:
        terminal.wait_for(r"messages.*/50")
        assert terminal.wait() == 0
        shown = terminal.shown
    assert re.search(r"p50 +p90 +p99 +p99\.9 +max +of *\n", shown)
    assert re.search(r"latency( +[\d.]+ (µs|ms|s)){5} +50 *\n", shown)
    assert "█" in shown
    assert "5 connections, 50 messages a second for 1 s, 128 characters; each message echoed" in shown
    assert re.search(r"The benchmark itself kept up|! ", shown)
    assert f"Plots are in {report}" in " ".join(shown.split())
    assert report.read_text().count("<svg") == 3


def test_what_a_stalled_server_would_have_had_to_answer_counts() -> None:
    """A server that stands still for half a second keeps all that was due meanwhile waiting."""
    stalled = False

    @websocket_app
    async def stalling(ws: WebSocket) -> None:
        nonlocal stalled
        await ws.accept()
        async for message in ws:
            if not stalled:
                stalled = True
                time.sleep(0.5)  # noqa: ASYNC251 - the whole server is to stand still
            await ws.send(message)

    with LiveServer(stalling) as live:
        latency = measured(live.url + "/", "--connections", "10", "--rate", "100", "--seconds", "1")["latency"]
    # Half of the messages were due in it, and waited from 0.5 s down to 0: the median of all is well below.
    assert latency["max"] > 450
    assert latency["p90"] > 300


def test_what_does_not_come_back_is_told_and_ends_with_1() -> None:
    @websocket_app
    async def dropping(ws: WebSocket) -> None:
        await ws.accept()
        for count in range(5):
            await ws.receive()
            if count:
                await ws.send("something else")
        await ws.close(4029, "too much")

    with LiveServer(dropping) as live:
        done = roomcast("bench", live.url + "/x", "--connections", "2", "--rate", "40", "--seconds", "0.5")
    assert done.returncode == 1
    assert re.search(r"! \d+ of \d+ deliveries did not come", done.stdout)
    assert re.search(r"! \d+ messages were not sent", done.stdout)
    assert (
        "! 2 connections were closed by the server with 4029: too many messages or bytes a second" in done.stdout
    )


def test_a_rate_that_it_cannot_do_is_told(chat: LiveServer) -> None:
    result = measured(chat.url, "--connections", "5", "--rate", "300000", "--seconds", "0.1")
    assert result["doubts"]


def test_a_server_that_takes_no_more_connections_ends_it() -> None:
    seen = 0

    @websocket_app
    async def full(ws: WebSocket) -> None:
        nonlocal seen
        seen += 1
        if seen > 3:
            await ws.reject(1013, "full", status=503)
        await ws.accept()
        async for _ in ws:
            await asyncio.sleep(0)

    with LiveServer(full) as live:
        error = complaint("bench", live.url + "/x", *SHORT, status=1)
    assert error.startswith("the server refused with HTTP status 503 Service Unavailable")


def test_where_nothing_listens_it_says_so() -> None:
    assert complaint("bench", f"localhost:{free_port()}", status=3).startswith(
        "nothing listens on localhost, port "
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--connections", "0"], "--connections: '0' is no number of connections: 1 to 60000"),
        (["--size", "5"], "--size: '5' is no size: a message has 32 to 1000000 characters"),
        (["--rate", "0"], "--rate: 0.0 is not in the range x>0"),
        (
            ["--report", "/nowhere/x.html"],
            "--report: /nowhere/x.html cannot be written: No such file or directory",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_measured_is_refused(arguments: list[str], problem: str) -> None:
    assert complaint("bench", "localhost:1", *arguments, status=2).startswith(problem)


def test_ctrl_c_ends_it_quietly(chat: LiveServer) -> None:
    with Terminal("bench", chat.url, "--seconds", "600") as terminal:
        terminal.wait_for(r"[1-9]\d*/600000")
        terminal.type(CTRL_C)
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.shown
