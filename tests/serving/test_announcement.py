"""The line that says where the server is."""

from __future__ import annotations

import multiprocessing
import os
import re
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from roomcast.serving.announcement import Announcement, web_address
from tests.programs import ROOMCAST, Program

APPS = Path(__file__).parents[1] / "apps"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", ("http://127.0.0.1:8000", "")),
        ("localhost", ("http://localhost:8000", "")),
        ("::1", ("http://[::1]:8000", "")),
        ("0.0.0.0", ("http://localhost:8000", "0.0.0.0:8000")),
        ("::", ("http://localhost:8000", "[::]:8000")),
    ],
)
def test_an_address_is_one_that_can_be_typed_into_a_browser(host: str, expected: tuple[str, str]) -> None:
    assert web_address("http", host, 8000) == expected


def test_where_it_is_not_what_was_bound_the_line_says_both(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(Announcement("Roomcast chat", *web_address("https", "::", 443))) as announcement:
        announce(announcement)
    assert capsys.readouterr().out == (
        "Roomcast chat on https://localhost:443 (listens on [::]:443; Ctrl+C stops it)\n"
    )


def test_the_line_is_printed_once(capfd: pytest.CaptureFixture[str]) -> None:
    spawn = multiprocessing.get_context("spawn")
    with closing(Announcement("Serving main:app", "http://127.0.0.1:1")) as announcement:
        workers = [spawn.Process(target=announce, args=(announcement, 2)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        announce(announcement, 2)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert capfd.readouterr().out == "Serving main:app on http://127.0.0.1:1 (Ctrl+C stops it)\n"


def announce(announcement: Announcement, times: int = 1) -> None:
    """Do with it what uvicorn does in a worker."""
    for _ in range(times):
        with pytest.raises(StopIteration):
            announcement().send(None)


@pytest.mark.parametrize(
    ("options", "serving"),
    [
        ([], "Started server process"),
        (["--workers", "2"], "Started parent process"),
        (["--reload"], "Started reloader process"),
    ],
    ids=["alone", "many", "reload"],
)
def test_it_says_once_where_it_can_be_connected_to(options: list[str], serving: str) -> None:
    with Program.roomcast("serve", "main:app", "--port", "0", *options, cwd=APPS) as program:
        url = program.wait_for_line(r"^Serving main:app on (http://127\.0\.0\.1:\d+) \(Ctrl\+C stops it\)$")[1]
        assert httpx.get(url).is_success
        # By then every worker is complete, and had its occasion to say it again.
        program.wait_for_line("Application startup complete", occurrence=2 if "--workers" in options else 1)
        assert program.terminate() == 0
    assert len(re.findall("Serving", program.stdout)) == 1
    assert serving in program.stderr
    assert "running on" not in program.output


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["alone", "many"])
def test_it_says_nothing_before_the_app_is_ready(tmp_path: Path, options: list[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    arguments = ["serve", "main:patient", "--port", "0", *options]
    with Program.roomcast(*arguments, cwd=APPS, env={"PIPE": str(pipe)}) as program:
        waiting = 2 if options else 1
        program.wait_for_line("Waiting for application startup", occurrence=waiting)
        assert program.stdout == ""
        pipe.write_bytes(b"go")
        assert httpx.get(program.wait_for_line(r" on (http\S+) ")[1]).is_success


def test_a_line_that_cannot_be_printed_stops_no_server(tmp_path: Path) -> None:
    uds = tmp_path / "a.sock"
    command = 'exec "$0" serve main:app --uds "$1" > /dev/full'
    with Program("sh", "-c", command, ROOMCAST, uds, cwd=APPS) as program:
        program.wait_for_line("Application startup complete")
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(uds))) as client:
            assert client.get("http://localhost/").is_success
