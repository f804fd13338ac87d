"""The log of `roomcast serve`: one line for each connection, as text or JSON, without what may be a secret."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from roomcast.serving.logs import JsonFormatter
from tests.programs import Program

APPS = Path(__file__).parents[1] / "apps"
END = (
    r'^INFO: +127\.0\.0\.1:\d+ - "WebSocket /ws/echo" closed 4001 \'bye\' after \d+\.\d s: '
    r"2 messages and 31 bytes in, 2 and 31 out$"
)


def exchange(url: str) -> None:
    with connect(f"{url.replace('http', 'ws')}/ws/echo?token=secret", compression=None) as websocket:
        for _ in range(2):
            websocket.send("tick")
            assert websocket.recv(timeout=5) == "Echo: tick"
        websocket.close(4001, "bye")
    with pytest.raises(InvalidStatus):
        connect(f"{url.replace('http', 'ws')}/nowhere?token=secret")
    assert httpx.get(f"{url}/?token=secret").is_success


def test_each_connection_has_one_line_at_its_end_and_no_query_string() -> None:
    with Program.roomcast("serve", "--port", "0") as program:
        exchange(program.wait_for_line(r" on (http://\S+) ")[1])
        program.wait_for_line(END)
        program.wait_for_line(r'"WebSocket /nowhere" 404$')
        program.wait_for_line(r'"GET / HTTP/1\.1" 200')
        assert program.terminate() == 0
    assert program.output.count("/ws/echo") == 1
    assert "secret" not in program.output


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["alone", "many"])
def test_as_json_every_line_is_json(workers: list[str]) -> None:
    app = ["main:app"] if workers else []
    with Program.roomcast("serve", *app, "--port", "0", "--log-format", "json", *workers, cwd=APPS) as program:
        url = program.wait_for_line(r" on (http://[^ ]+) ")[1]
        if not workers:
            exchange(url)
            program.wait_for_line('"code": 4001')
        assert program.terminate() == 0
    lines = [json.loads(line) for line in program.output.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    if not workers:
        (end,) = [line for line in lines if line.get("code") == 4001]
        assert end.pop("seconds") >= 0
        assert end.pop("client").startswith("127.0.0.1:")
        wanted: dict[str, object] = {"messages_in": 2, "bytes_in": 31, "messages_out": 2, "bytes_out": 31}
        wanted |= {"path": "/ws/echo", "user": None, "code": 4001, "reason": "bye"}
        assert {name: end[name] for name in wanted} == wanted
        (page,) = [line for line in lines if line.get("method") == "GET"]
        assert (page["path"], page["status"]) == ("/", 200)
    assert "secret" not in program.output


def test_the_line_names_the_user_that_the_join_named() -> None:
    with Program.roomcast("serve", "main:lounge", "--port", "0", cwd=APPS) as program:
        url = program.wait_for_line(r" on (http://\S+) ")[1].replace("http", "ws")
        with connect(url) as websocket:
            websocket.close()
        program.wait_for_line(r'"WebSocket /" of \'ada\' closed 1000 after')


def test_an_exception_is_part_of_its_line() -> None:
    error = ValueError("no\nsuch room")
    record = logging.LogRecord("x", logging.ERROR, "", 0, "it %s", ("failed",), (ValueError, error, None))
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert line["message"] == "it failed"
    assert "ValueError: no\nsuch room" in line["exception"]
