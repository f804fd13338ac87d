"""The `roomcast` command: what it says of itself, its settings, and one clear line for each mistake."""

from __future__ import annotations

import platform
import re
import signal
import socket
import sys
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from roomcast.protocol import compiled
from tests.programs import ROOMCAST, Program, run

APPS = Path(__file__).parent / "apps"
REPOSITORY = Path(__file__).parent.parent
SETTINGS = [
    "host", "port", "uds", "ssl-certfile", "ssl-keyfile", "workers", "reload", "broker", "factory", "log-level",
]  # fmt: skip


def refused(*arguments: str | Path, **env: str) -> str:
    """The one line with which `roomcast serve` refuses the arguments, without its `Error: `."""
    program = run(ROOMCAST, "serve", *arguments, cwd=APPS, env=env)
    assert program.returncode == 2, program.output
    assert program.stdout == ""
    assert program.stderr.count("\n") == 1, program.output
    assert program.stderr.startswith("Error: ")
    return program.stderr.removeprefix("Error: ").rstrip("\n")


def url_of(program: Program) -> str:
    return program.wait_for_line(r" on (https?://\S+) \(")[1]


@pytest.mark.parametrize("command", [[ROOMCAST], [sys.executable, "-m", "roomcast"]], ids=["script", "module"])
def test_the_version_names_what_it_runs_on(command: list[str | Path]) -> None:
    program = run(*command, "--version")
    assert program.returncode == 0
    python = f"{platform.python_implementation()} {platform.python_version()}"
    kind = "compiled" if compiled() else "interpreted"
    expected = f"roomcast {version('roomcast')}, {kind} ({python}, uvicorn {version('uvicorn')})\n"
    assert program.output == expected


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]], ids=" ".join)
def test_without_a_command_it_helps(arguments: list[str]) -> None:
    program = run(ROOMCAST, *arguments)
    assert program.returncode == 0
    assert re.search(r"serve +Start the chat, or serve any ASGI app\.", program.stdout)
    assert program.stderr == ""


def test_the_help_names_each_setting_its_variable_and_its_default() -> None:
    program = run(ROOMCAST, "serve", "--help")
    assert program.returncode == 0
    text = " ".join(program.stdout.split())
    for name in SETTINGS:
        variable = f"ROOMCAST_{name.upper().replace('-', '_')}"
        assert re.search(rf"--{name} [^\[]+\[env var: {variable}[;\]]", text), name
    assert "ROOMCAST_APP" in text
    for default in ("default: 127.0.0.1", "default: 8000", "default: 1;", "default: info"):
        assert default in text


def test_the_chat_is_what_is_served_without_an_app() -> None:
    with Program.roomcast("serve", "--port", "0") as program:
        match = program.wait_for_line(r"^Roomcast chat on (http://127\.0\.0\.1:\d+) \(Ctrl\+C stops it\)$")
        assert httpx.get(match[1]).headers["content-type"].startswith("text/html")
        assert program.terminate() == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--port", "http"], "--port: 'http' is no port: ports are 1 to 65535, and 0 picks a free one"),
        (["--port", "65536"], "--port: '65536' is no port: ports are 1 to 65535, and 0 picks a free one"),
        (["--workers", "0"], "--workers: '0' is no number of workers: 1 is the least"),
        (["--workers", "two"], "--workers: 'two' is no number of workers: 1 is the least"),
        (["--log-level", "loud"], "--log-level: 'loud' is not one of 'critical', 'error', 'warning', 'info',"),
        (["--prot", "1"], "No such option"),
        (["main:app", "more"], "Got unexpected extra argument (more). See roomcast serve --help"),
        (["--factory"], "--factory needs MODULE:ATTRIBUTE, the factory"),
        (["--uds", "a.sock", "--port", "1"], "--uds and --port exclude each other"),
        (["--uds", "a.sock", "--host", "::1"], "--uds and --host exclude each other"),
        (["main:app", "--workers", "2", "--reload"], "--reload and --workers exclude each other"),
        (["--ssl-certfile", "a.pem"], "--ssl-certfile needs --ssl-keyfile too"),
        (["--ssl-keyfile", "a.pem"], "--ssl-keyfile needs --ssl-certfile too"),
        (["--broker", "localhost"], "--broker: the broker URL has no scheme; known are: memory://"),
        (["main:app", "--broker", "mqtt://me:secret@localhost"], "--broker: the broker URL has scheme 'mqtt'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_setting_that_cannot_be_is_refused(arguments: list[str], problem: str) -> None:
    error = refused(*arguments)
    assert error.startswith(problem)
    assert "secret" not in error


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ROOMCAST_PORT", "http"),
        ("ROOMCAST_WORKERS", "0"),
        ("ROOMCAST_LOG_LEVEL", "loud"),
        ("ROOMCAST_RELOAD", "maybe"),
        ("ROOMCAST_FACTORY", "maybe"),
        ("ROOMCAST_FACTORY", "1"),
        ("ROOMCAST_BROKER", "localhost"),
        ("ROOMCAST_WORKERS", "2"),
        ("ROOMCAST_SSL_KEYFILE", "a.pem"),
    ],
)
def test_a_bad_variable_is_refused_by_its_name(variable: str, value: str) -> None:
    assert refused(**{variable: value}).startswith(variable)


def test_an_app_can_come_from_the_environment() -> None:
    assert "no module 'nothing_like_it'" in refused(ROOMCAST_APP="nothing_like_it:app")


@pytest.mark.parametrize(
    "arguments",
    [["--workers", "2"], ["main:app", "--workers", "2", "--broker", "memory://"]],
    ids=["chat", "app"],
)
def test_many_workers_need_a_broker_that_they_can_share(arguments: list[str]) -> None:
    error = refused(*arguments)
    assert "memory://" in error
    assert error.endswith("use --workers 1")


def test_the_broker_reaches_the_app() -> None:
    with Program.roomcast("serve", "main:app", "--port", "0", "--broker", "memory://", cwd=APPS) as program:
        assert httpx.get(url_of(program)).json()["broker"] == "memory://"


def test_an_app_of_ones_own_gets_no_broker_it_was_not_given() -> None:
    with Program.roomcast("serve", "main:app", "--port", "0", cwd=APPS) as program:
        assert httpx.get(url_of(program)).json()["broker"] is None


def test_every_setting_can_come_from_the_environment() -> None:
    env = {
        "ROOMCAST_APP": "main:make_app",
        "ROOMCAST_FACTORY": "1",
        "ROOMCAST_HOST": "localhost",
        "ROOMCAST_PORT": "0",
        "ROOMCAST_WORKERS": "2",
        "ROOMCAST_LOG_LEVEL": "warning",
    }
    with Program.roomcast("serve", cwd=APPS, env=env) as program:
        match = program.wait_for_line(r"^Serving main:make_app on (http://localhost:\d+) ")
        assert httpx.get(match[1]).is_success
        assert program.terminate() == 0
    assert program.output == f"{match.string}\n"


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    with Program.roomcast("serve", "main:app", "--port", "0", cwd=APPS, env={"ROOMCAST_HOST": ""}) as program:
        assert url_of(program).startswith("http://127.0.0.1:")


def test_the_command_line_wins_over_the_environment() -> None:
    env = {"ROOMCAST_APP": "nothing_like_it:app", "ROOMCAST_PORT": "1", "ROOMCAST_LOG_LEVEL": "critical"}
    arguments = ["main:app", "--port", "0", "--log-level", "info"]
    with Program.roomcast("serve", *arguments, cwd=APPS, env=env) as program:
        assert httpx.get(url_of(program)).is_success
        program.wait_for_line("Started server process")


def test_the_command_line_wins_over_what_excludes_it_in_the_environment(tmp_path: Path) -> None:
    env = {"ROOMCAST_UDS": str(tmp_path / "a.sock"), "ROOMCAST_RELOAD": "1", "ROOMCAST_BROKER": ""}
    with Program.roomcast("serve", "main:app", "--port", "0", "--workers", "2", cwd=APPS, env=env) as program:
        assert httpx.get(url_of(program)).is_success
        program.wait_for_line("Started parent process")
    assert not (tmp_path / "a.sock").exists()
    env = {"ROOMCAST_PORT": "1", "ROOMCAST_HOST": "192.0.2.1", "ROOMCAST_WORKERS": "2"}
    uds = tmp_path / "b.sock"
    with Program.roomcast("serve", "main:app", "--uds", uds, "--reload", cwd=APPS, env=env) as program:
        program.wait_for_line(rf"^Serving main:app on unix:{uds} ")
        program.wait_for_line("Started reloader process")


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["one", "many"])
def test_an_app_whose_startup_fails_ends_it_with_3_and_a_last_word(options: list[str]) -> None:
    program = run(ROOMCAST, "serve", "main:failing", "--port", "0", *options, cwd=APPS)
    assert program.returncode == 3
    assert "there is no database" in program.stderr
    assert program.stderr.endswith("\nError: main:failing did not start; the log above says why\n")
    assert "Traceback" not in program.output
    assert program.stdout == ""


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        error = refused("main:app", "--port", port)
    assert error == f"port {port} on 127.0.0.1 is in use: choose another --port, or 0 for a free one"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [[], ["--reload"]], ids=["alone", "reload"])
def test_a_signal_ends_it_even_while_the_app_is_imported(
    tmp_path: Path, options: list[str], number: signal.Signals
) -> None:
    (tmp_path / "slow.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(3600)\n")
    with Program.roomcast("serve", "slow:app", "--port", "0", *options, cwd=tmp_path) as program:
        program.wait_for_line("importing")
        if number == signal.SIGINT:
            program.press_ctrl_c()
        else:
            program.send_signal(number)
        assert program.wait() == 0
    assert program.output == "importing\n"


def test_rooms_in_memory_are_no_rooms_of_several_workers() -> None:
    with Program.roomcast(
        "serve", "examples.chat_roomcast:application", "--port", "0", "--workers", "2", cwd=REPOSITORY
    ) as program:
        assert program.wait() == 3
    assert "in one process, but 2 workers serve the app" in program.output
