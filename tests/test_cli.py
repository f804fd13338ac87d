"""The `roomcast` command: what it says of itself, its settings, and one clear line for each mistake."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from roomcast import Rooms
from roomcast.protocol import compiled
from tests.programs import DEADLINE, ROOMCAST, Program, run

APPS = Path(__file__).parent / "apps"
REPOSITORY = Path(__file__).parent.parent
SETTINGS = [
    "host", "port", "uds", "ssl-certfile", "ssl-keyfile", "workers", "reload", "broker", "wait-for-broker",
    "factory", "log-level", "admin-token", "drain", "metrics-port", "metrics-host", "metrics-token", "log-format",
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
        match = program.wait_for_line(
            r"^Roomcast chat on (http://127\.0\.0\.1:\d+) \(history in /.+/roomcast/chat\.db; Ctrl\+C stops it\)$"
        )
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
        (["--drain", "soon"], "--drain: 'soon' is no length of time: write it as 10s, 500ms or 2m"),
        (["--metrics-port", "x"], "--metrics-port: 'x' is no port: ports are 1 to 65535, and 0 picks a free one"),
        (
            ["--metrics-token", "a b"],
            "--metrics-token: a token has one character or more, all of them visible ASCII",
        ),
        (["--log-format", "xml"], "--log-format: 'xml' is not one of 'text', 'json'"),
        (["--prot", "1"], "No such option"),
        (["main:app", "more"], "Got unexpected extra argument (more). See roomcast serve --help"),
        (["--factory"], "--factory needs MODULE:ATTRIBUTE, the factory"),
        (["--uds", "a.sock", "--port", "1"], "--uds and --port exclude each other"),
        (["--uds", "a.sock", "--host", "::1"], "--uds and --host exclude each other"),
        (["main:app", "--workers", "2", "--reload"], "--reload and --workers exclude each other"),
        (["--ssl-certfile", "a.pem"], "--ssl-certfile needs --ssl-keyfile too"),
        (["--ssl-keyfile", "a.pem"], "--ssl-keyfile needs --ssl-certfile too"),
        (["--admin-token", " secret"], "--admin-token: a token has"),
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
    ("arguments", "scheme"),
    [
        (["--workers", "2"], "sqlite://"),
        (["main:app", "--workers", "2", "--broker", "memory://"], "memory://"),
        (["main:app", "--workers", "2", "--broker", "sqlite:///rooms.db"], "sqlite://"),
    ],
    ids=["chat", "memory", "file"],
)
def test_many_workers_need_a_broker_that_they_can_share(arguments: list[str], scheme: str) -> None:
    error = refused(*arguments)
    assert f"needs a broker that several processes share, which {scheme} is not" in error
    assert error.endswith("use --broker redis://… or --broker nats://… or --workers 1")
    assert not (APPS / "rooms.db").exists()


# Where the history is


def test_a_file_of_rooms_that_another_server_has_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rooms.db"
    with Program.roomcast("serve", "--port", "0", "--broker", url) as first:
        line = first.wait_for_line(r"^Roomcast chat on (.+)$")[1]
        assert f"history in {tmp_path}/rooms.db" in line
        error = refused("--port", "0", "--broker", url)
        assert f"rooms.db belongs to process {first.pid} (roomcast) since " in error
        assert error.endswith("choose another file, or use a broker that several processes share")
        assert first.terminate() == 0
    with Program.roomcast("serve", "--port", "0", "--broker", url) as second:
        second.wait_for_line("^Roomcast chat on ")


def test_a_file_that_is_no_file_of_rooms_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "rooms.db").write_text("not a database, but something of value")
    error = refused("--port", "0", "--broker", f"sqlite:///{tmp_path}/rooms.db")
    assert "is damaged, or no SQLite database" in error
    error = refused("main:app", "--port", "0", "--broker", f"sqlite:///{tmp_path}/missing/rooms.db")
    assert error == f"the folder {tmp_path}/missing does not exist: make it, or choose another file"


def test_a_second_chat_has_its_history_in_memory_and_says_so(tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path)}
    with Program.roomcast("serve", "--port", "0", env=env) as first:
        first.wait_for_line(r"history in .+/roomcast/chat\.db; ")
        with Program.roomcast("serve", "--port", "0", env=env) as second:
            warning = second.wait_for_line("^Warning: (.+)$")[1]
            assert warning.startswith("this chat keeps its history in memory, and only as long as it runs: ")
            assert f"chat.db belongs to process {first.pid} (roomcast)" in warning
            line = second.wait_for_line(r"^Roomcast chat on (.+)$")[1]
            assert "history" not in line
            assert second.terminate() == 0
    assert ((tmp_path / "roomcast").stat().st_mode & 0o777) == 0o700


def test_a_chat_without_a_folder_for_its_history_has_it_in_memory_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Program.roomcast("serve", "--port", "0", env={"XDG_STATE_HOME": str(tmp_path / "file")}) as program:
        assert "cannot be made: Not a directory" in program.wait_for_line("^Warning: (.+)$")[1]
        program.wait_for_line("^Roomcast chat on ")


# Publishing from a script


def published(*arguments: str | Path, stdin: bytes = b"", **env: str) -> str:
    """What `roomcast publish` prints."""
    program = publish(*arguments, stdin=stdin, **env)
    assert program.returncode == 0, program.stderr
    assert program.stderr == b""
    return program.stdout.decode()


def publish(*arguments: str | Path, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOMCAST_")}
    return subprocess.run(
        [ROOMCAST, "publish", *arguments],
        input=stdin,
        capture_output=True,
        env=clean | env,
        timeout=DEADLINE,
        check=False,
    )


def not_published(*arguments: str | Path, stdin: bytes = b"", status: int = 2, **env: str) -> str:
    """The one line with which `roomcast publish` fails, without its `Error: `."""
    program = publish(*arguments, stdin=stdin, **env)
    assert program.returncode == status, program.stderr
    assert program.stdout == b""
    assert program.stderr.count(b"\n") == 1
    return program.stderr.decode().removeprefix("Error: ").rstrip("\n")


def history(path: Path, room: str) -> list[str | bytes]:
    async def read() -> list[str | bytes]:
        async with Rooms(f"sqlite:///{path}") as rooms:
            return [publication.data for publication in await rooms.history(room)]

    return asyncio.run(read())


def test_what_is_published_is_in_the_history_and_its_position_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "rooms.db"
    broker = ["--broker", f"sqlite:///{path}"]
    first = published("general", "hello é", *broker)
    assert re.fullmatch(r"1\.[0-9a-f]{8}\n", first)
    assert published("general", "-", *broker, stdin=b"two\nlines\n").startswith("2.")
    assert published("general", "-", "--binary", *broker, stdin=b"\xff\x00").startswith("3.")
    assert published("general", "once", "--key", "k", ROOMCAST_BROKER=broker[1]).startswith("4.")
    assert published("general", "again", "--key", "k", ROOMCAST_BROKER=broker[1]).startswith("4.")
    assert published("general", "workers", *broker, ROOMCAST_WORKERS="4").startswith("5.")
    assert history(path, "general") == ["hello é", "two\nlines", b"\xff\x00", "once", "workers"]


def test_without_a_broker_it_publishes_in_the_chat(tmp_path: Path) -> None:
    assert published("general", "hi", XDG_STATE_HOME=str(tmp_path)).startswith("1.")
    assert history(tmp_path / "roomcast" / "chat.db", "general") == ["hi"]


def test_where_a_server_has_the_rooms_nothing_else_can_publish_and_is_told_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rooms.db"
    with Program.roomcast("serve", "--port", "0", "--broker", url) as server:
        server.wait_for_line("^Roomcast chat on ")
        error = not_published("general", "hi", "--broker", url)
        assert f"belongs to process {server.pid} (roomcast)" in error
        assert error.endswith("use a broker that several processes share")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["general", "hi", "--broker", "memory://"],
            "--broker: memory:// is the memory of one process, which no ",
        ),
        (["general", "hi", "--broker", "nosuch://"], "--broker: the broker URL has scheme 'nosuch'"),
        (
            ["general", "hi", "--broker", "sqlite://a.db"],
            "--broker: sqlite:// takes no host: write sqlite:///FILE",
        ),
        (["", "hi"], "a room's name has 1 to 255 characters, and this one 0"),
        (["general", "hi", "--key", "k" * 256], "a publication's key has at most 255 characters"),
        (["general", "-"], "the text is not UTF-8 (invalid start byte): --binary publishes any bytes"),
        (["general"], "Missing argument 'TEXT'. See roomcast publish --help"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_cannot_be_published_is_told_in_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    url = f"sqlite:///{tmp_path}/rooms.db"
    assert not_published(*arguments, stdin=b"\xff", ROOMCAST_BROKER=url).startswith(told)


def test_too_much_to_publish_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rooms.db"
    error = not_published("general", "-", "--broker", url, stdin=bytes((16 << 20) + 1))
    assert error == "there are more than 16 MiB to publish: publish less at once"


def test_a_publication_that_the_broker_does_not_take_ends_with_1(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rooms.db"
    published("general", "hi", "--broker", url)
    with closing(sqlite3.connect(tmp_path / "rooms.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "is locked by another program" in not_published("general", "hi", "--broker", url, status=1)


def test_a_broker_that_is_not_there_ends_with_3() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        error = not_published("general", "hi", "--broker", f"redis://127.0.0.1:{port}", status=3)
    assert error.startswith(f"Redis at 127.0.0.1:{port} cannot be reached")


def test_the_broker_reaches_the_app() -> None:
    with Program.roomcast("serve", "main:app", "--port", "0", "--broker", "memory://", cwd=APPS) as program:
        assert httpx.get(url_of(program)).json()["broker"] == "memory://"


def test_an_app_of_ones_own_gets_no_broker_it_was_not_given() -> None:
    with Program.roomcast("serve", "main:app", "--port", "0", cwd=APPS) as program:
        assert httpx.get(url_of(program)).json()["broker"] is None


def test_an_app_of_ones_own_is_told_that_the_operators_page_is_to_be_mounted() -> None:
    arguments = ["main:app", "--port", "0", "--admin-token", "secret"]
    with Program.roomcast("serve", *arguments, cwd=APPS) as program:
        url_of(program)
    assert re.search(r"^Warning: --admin-token: .*main:app.*admin_app\(rooms\)", program.stderr, re.MULTILINE)
    assert "secret" not in program.output
    with Program.roomcast("serve", *arguments[:3], cwd=APPS, env={"ROOMCAST_ADMIN_TOKEN": "secret"}) as program:
        url_of(program)
    assert "Warning" not in program.output


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
        operators = refused("main:app", "--port", "0", "--metrics-port", port)
    assert error == f"port {port} on 127.0.0.1 is in use: choose another --port, or 0 for a free one"
    assert operators == f"port {port} on 127.0.0.1 is in use: choose another --metrics-port, or 0 for a free one"


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
