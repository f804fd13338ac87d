"""Listening on a unix socket."""

from __future__ import annotations

import json
import signal
import socket
import stat
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import unix_connect

from roomcast.serving.unix import LONGEST_PATH, listening_on_path
from tests.programs import ROOMCAST, Program, run

APPS = Path(__file__).parents[1] / "apps"


@pytest.fixture
def uds(tmp_path: Path) -> Path:
    return tmp_path / "roomcast.sock"


def serving(uds: Path, *options: str) -> Program:
    return Program.roomcast("serve", "main:app", "--uds", uds, *options, cwd=APPS)


def pid_behind(uds: Path) -> int:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(uds))) as client:
        pid: int = client.get("http://localhost/").json()["pid"]
    return pid


def refused(uds: str | Path) -> str:
    program = run(ROOMCAST, "serve", "main:app", "--uds", uds, cwd=APPS)
    assert program.returncode == 2
    assert program.output.count("\n") == 1
    assert program.stderr.startswith("Error: --uds: ")
    return program.stderr.removeprefix("Error: --uds: ").rstrip("\n")


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]], ids=["alone", "many", "reload"])
def test_it_serves_on_the_path_and_removes_it_at_the_end(uds: Path, options: list[str]) -> None:
    with serving(uds, *options) as program:
        program.wait_for_line(rf"^Serving main:app on unix:{uds} \(Ctrl\+C stops it\)$")
        assert pid_behind(uds)
        with unix_connect(str(uds), "ws://localhost/") as websocket:
            websocket.send("hello")
            assert websocket.recv(timeout=5) == "hello"
        assert stat.S_IMODE(uds.stat().st_mode) == 0o666
        assert program.terminate() == 0
    assert not uds.exists()


def test_the_socket_of_a_killed_server_is_replaced(uds: Path) -> None:
    with serving(uds) as first:
        first.wait_for_line("Serving")
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert uds.is_socket()
    with serving(uds) as second:
        second.wait_for_line("Serving")
        assert pid_behind(uds) == second.pid


def test_the_socket_of_a_server_that_runs_is_left_to_it(uds: Path) -> None:
    with serving(uds) as first:
        first.wait_for_line("Serving")
        assert refused(uds) == f"a server listens on {uds} already: stop it, or choose another path"
        assert pid_behind(uds) == first.pid


def test_the_socket_of_a_server_that_is_too_busy_to_answer_is_left_to_it(uds: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as waiting:
        other.bind(str(uds))
        other.listen(0)
        waiting.connect(str(uds))
        assert refused(uds).startswith("a server listens on ")
    assert uds.is_socket()


def test_the_socket_of_another_kind_is_left_alone(uds: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(uds))
        assert refused(uds).startswith(f"cannot listen on {uds}: ")
    assert uds.is_socket()


def test_a_socket_that_has_taken_the_place_is_left_there(uds: Path) -> None:
    with serving(uds) as first:
        first.wait_for_line("Serving")
        uds.unlink()
        with serving(uds) as second:
            second.wait_for_line("Serving")
            assert first.terminate() == 0
            assert pid_behind(uds) == second.pid


def test_a_file_is_left_alone(uds: Path) -> None:
    uds.write_text(json.dumps("precious"))
    assert refused(uds) == f"{uds} exists and is no socket, so it stays: choose another path"
    assert uds.read_text() == '"precious"'


def test_a_missing_folder_is_told(uds: Path) -> None:
    path = uds.parent / "nowhere" / "a.sock"
    assert refused(path) == f"the folder {path.parent} does not exist: make it, or choose another path"


@pytest.mark.parametrize("length", [0, LONGEST_PATH + 1])
def test_a_path_that_no_socket_can_have_is_told(length: int) -> None:
    expected = f"the path has {length} bytes, but a unix socket's has 1 to {LONGEST_PATH}: choose another one"
    assert refused("x" * length) == expected


def test_the_longest_path_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with listening_on_path("x" * LONGEST_PATH) as listeners:
        assert len(listeners) == 1
    assert list(tmp_path.iterdir()) == []
