"""Serving until a signal ends it: alone, with workers, reloading."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.programs import Program, ProgramFailed

if TYPE_CHECKING:
    from collections.abc import Callable

APPS = Path(__file__).parents[1] / "apps"
MODES = pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]], ids=["alone", "many", "reload"])
STOPS = pytest.mark.parametrize(
    "stop", [Program.press_ctrl_c, lambda program: program.send_signal(signal.SIGTERM)], ids=["ctrl-c", "sigterm"]
)

IMPATIENT = """
from roomcast.serving import supervising
supervising.GRACE_SECONDS = 0.5
from roomcast.cli import main
main()
"""
"""The command, with less time to wait for those who do not end."""


def serving(app: str, *options: str, cwd: Path = APPS) -> Program:
    return Program.roomcast("serve", app, "--port", "0", *options, cwd=cwd)


def url_of(program: Program) -> str:
    return program.wait_for_line(r" on (http://\S+) ")[1]


@MODES
@STOPS
def test_a_signal_ends_it_in_order_and_at_once(options: list[str], stop: Callable[[Program], None]) -> None:
    with serving("main:app", *options) as program:
        with connect(url_of(program).replace("http", "ws")) as websocket:
            websocket.send("hello")
            assert websocket.recv(timeout=5) == "hello"
            stop(program)
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(timeout=5)
        # Without what it waits for at most where there is something to wait for.
        assert program.wait(timeout=4) == 0
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert "Application shutdown complete" in program.stderr
    assert "Traceback" not in program.output
    assert "Error" not in program.output


@STOPS
@pytest.mark.parametrize(
    ("app", "options"),
    [
        ("stuck", []),
        ("stuck", ["--workers", "2"]),
        ("stuck", ["--reload"]),
        ("stuck_starlette", []),
    ],
    ids=["alone", "many", "reload", "starlette"],
)
def test_a_signal_ends_it_while_the_app_starts_up(
    app: str, options: list[str], stop: Callable[[Program], None]
) -> None:
    command = [sys.executable, "-c", IMPATIENT, "serve", f"main:{app}", "--port", "0", *options]
    with Program(*command, cwd=APPS) as program:
        program.wait_for_line("Waiting for application startup")
        stop(program)
        assert program.wait() == 0
    assert "Traceback" not in program.output
    assert "main:stuck" not in program.output


def test_work_that_takes_no_notice_of_the_end_is_cancelled() -> None:
    with serving("main:stubborn", "--drain", "1s") as program, connect(url_of(program).replace("http", "ws")):
        assert program.terminate() == 0
        assert "goes on without its connection: it is cancelled" in program.stderr


@pytest.mark.parametrize(
    ("app", "waiting"),
    [("stubborn", "Waiting for (connections|background tasks)"), ("clinging", "Waiting for application shutdown")],
)
def test_a_second_ctrl_c_waits_for_nothing(app: str, waiting: str) -> None:
    with serving(f"main:{app}") as program:
        url = url_of(program).replace("http", "ws")
        with connect(url) if app == "stubborn" else nullcontext():
            program.press_ctrl_c()
            program.wait_for_line(waiting)
            program.press_ctrl_c()
            assert program.wait(timeout=4) == 0
    assert "Traceback" not in program.output


def test_several_workers_serve() -> None:
    with serving("main:app", "--workers", "3") as program:
        assert httpx.get(url_of(program)).is_success
        program.wait_for_line("Started server process", occurrence=3)
        assert program.terminate() == 0


def test_a_worker_that_is_killed_is_replaced() -> None:
    with serving("main:app", "--workers", "2") as program:
        url = url_of(program)
        os.kill(httpx.get(url).json()["pid"], signal.SIGKILL)
        program.wait_for_line("Application startup complete", occurrence=3)
        assert httpx.get(url).is_success
        assert program.terminate() == 0


def test_a_changed_file_in_the_current_directory_restarts_the_app(tmp_path: Path) -> None:
    source = Path(shutil.copy(APPS / "main.py", tmp_path))
    with serving("main:app", "--reload", cwd=tmp_path) as program:
        url = url_of(program)
        assert "changed" not in httpx.get(url).json()
        changed = source.read_text().replace("body = {", 'body = {"changed": True, ')
        edit_until(program, "Reloading", source, changed)
        program.wait_for_line("Application startup complete", occurrence=2)
        assert httpx.get(url).json()["changed"]
        assert program.stdout.count("Serving") == 1
        assert program.terminate() == 0


def test_a_broken_file_stops_no_reloader(tmp_path: Path) -> None:
    source = Path(shutil.copy(APPS / "main.py", tmp_path))
    with serving("main:app", "--reload", cwd=tmp_path) as program:
        url = url_of(program)
        right = source.read_text()
        edit_until(program, "Reloading", source, "def (:")
        program.wait_for_line("SyntaxError")
        edit_until(program, "Reloading", source, right, occurrence=2)
        program.wait_for_line("Application startup complete", occurrence=2)
        assert httpx.get(url).is_success
        assert program.terminate() == 0


def edit_until(program: Program, pattern: str, file: Path, content: str, *, occurrence: int = 1) -> None:
    """Write the file until the reloader has seen it: it compares with what it saw when it looked first."""
    for age in range(1, 20):
        file.write_text(content)
        later = file.stat().st_mtime + age
        os.utime(file, (later, later))
        try:
            program.wait_for_line(pattern, timeout=1, occurrence=occurrence)
        except ProgramFailed:
            continue
        return
    program.wait_for_line(pattern, timeout=0, occurrence=occurrence)
