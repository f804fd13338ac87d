"""The limits of `roomcast serve`: each has an option and a variable, and can be switched off."""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack, suppress
from pathlib import Path
from unittest.mock import patch

import click
import pytest
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from roomcast.serving.limiting import LIMITED, Limited, export, limit_options
from tests.programs import ROOMCAST, Program, run

APPS = Path(__file__).parents[1] / "apps"


def serving(*options: str, **env: str) -> Program:
    return Program.roomcast("serve", "main:app", "--port", "0", *options, cwd=APPS, env=env)


def url_of(program: Program) -> str:
    return program.wait_for_line(r" on http(://\S+) ")[1].replace("://", "ws://")


def opened(url: str, stack: ExitStack, count: int) -> int:
    """Open connections until one is refused; give how many were opened, `count` at the most."""
    refusal = None
    number = 0
    while refusal is None and number < count:
        try:
            stack.enter_context(connect(url))
            number += 1
        except InvalidStatus as error:
            refusal = error.response
    if refusal is not None:
        assert refusal.status_code in {429, 503}
        assert json.loads(refusal.body)["code"] in {4029, 1013}
    return number


def ended(client: ClientConnection, heard: list[str | bytes]) -> int:
    """Give the code with which the server ends a connection, behind what it has sent before."""
    with pytest.raises(ConnectionClosed) as closed:
        heard.extend(iter(lambda: client.recv(timeout=5), None))
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_every_limit_has_an_option_a_variable_and_a_default_that_the_help_tells() -> None:
    helped = re.sub(r"\s+", " ", run(ROOMCAST, "serve", "--help").stdout)
    for limited in LIMITED:
        variable = f"ROOMCAST_{limited.name.upper()}"
        assert f"{limited.flag} NUMBER" in helped
        assert f"[env var: {variable}; default: {limited.default:.10g}]" in helped


@pytest.mark.parametrize(
    "limited",
    [LIMITED[0], LIMITED[-1], *(each for each in LIMITED if each.number is float)][:4],
    ids=lambda each: each.name,
)
def test_a_value_that_cannot_be_is_named(limited: Limited) -> None:
    program = run(ROOMCAST, "serve", limited.flag, "0", cwd=APPS)
    assert program.returncode == 2
    assert re.fullmatch(rf"Error: {limited.flag}: '0' is none: it must be .* over 0(, or off)?\n", program.stderr)


def test_a_bad_origin_is_named() -> None:
    for arguments, env, name in (
        (("--allow-origin", "example.org"), {}, "--allow-origin"),
        ((), {"ROOMCAST_ALLOW_ORIGIN": "https://a.example example.org"}, "ROOMCAST_ALLOW_ORIGIN"),
    ):
        program = run(ROOMCAST, "serve", *arguments, cwd=APPS, env=env)
        assert program.returncode == 2
        assert program.stderr.startswith(f"Error: {name}: 'example.org' is no origin")


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (["--max-connections", "3"], {}),
        ([], {"ROOMCAST_MAX_CONNECTIONS_PER_ADDRESS": "3"}),
        (["--handshakes-per-second", "0.75"], {}),
        (["--no-limits", "--max-connections", "3"], {}),
        (
            ["--workers", "1", "--max-connections-per-address", "3"],
            {"ROOMCAST_MAX_CONNECTIONS_PER_ADDRESS": "100"},
        ),
    ],
)
def test_a_limit_holds_for_whatever_app_is_served(options: list[str], env: dict[str, str]) -> None:
    with serving(*options, **env) as program, ExitStack() as stack:
        assert opened(url_of(program), stack, 5) == 3


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (["--no-limits"], {}),
        ([], {"ROOMCAST_NO_LIMITS": "1"}),
        (["--max-connections-per-address", "off", "--handshakes-per-second", "OFF"], {}),
    ],
)
def test_what_is_off_bounds_nothing(options: list[str], env: dict[str, str]) -> None:
    with serving(*options, **env) as program, ExitStack() as stack:
        assert opened(url_of(program), stack, 210) == 210


def test_what_bounds_what_waits_holds_without_limits_too() -> None:
    @click.command()
    @limit_options
    @click.pass_context
    def command(ctx: click.Context, /, **chosen: object) -> None:
        export(ctx, chosen)

    with patch.dict(os.environ):
        assert CliRunner().invoke(command, ["--no-limits", "--ws-send-timeout", "off"]).exit_code == 0
        chosen = {name: os.environ[f"ROOMCAST_{name.upper()}"] for name in (one.name for one in LIMITED)}
    kept = {name: value for name, value in chosen.items() if value != "off"}
    assert kept == {
        "ws_handshake_timeout": "10",
        "ws_close_timeout": "10",
        "ws_inbound_bytes": "262144",
        "ws_outbound_bytes": "1048576",
    }


def test_a_limit_holds_in_each_of_several_workers() -> None:
    with serving("--workers", "2", "--max-connections", "2") as program, ExitStack() as stack:
        program.wait_for_line("Application startup complete", occurrence=2)
        assert 2 <= opened(url_of(program), stack, 10) <= 4


def test_the_size_of_a_message_and_its_rate_are_bounded() -> None:
    with serving("--max-message-size", "1000", "--messages-per-second", "10") as program:
        url = url_of(program)
        with connect(url) as client:
            client.send("x" * 1001)
            assert ended(client, []) == 1009
        with connect(url) as client:
            heard: list[str | bytes] = []
            for _ in range(11):
                client.send("x")
            while not heard or heard[-1] == "x":
                heard.append(client.recv(timeout=5))
            with suppress(ConnectionClosed):  # it may end before the last of them is on its way
                for _ in range(20):
                    client.send("x")
            assert ended(client, heard) == 4029
            warnings = [text for text in heard if text != "x"]
            assert len(warnings) == 1
            assert json.loads(warnings[0])["type"] == "error"


def test_a_page_of_another_origin_is_refused_whatever_app_is_served() -> None:
    with serving("--allow-origin", "https://*.example.org", "--allow-origin", "http://b.example") as program:
        url = url_of(program)
        for origin in ("https://a.example.org", "http://b.example", url.replace("ws", "http").rstrip("/")):
            with connect(url, origin=Origin(origin)) as client:
                client.send("hi")
                assert client.recv(timeout=5) == "hi"
        with pytest.raises(InvalidStatus) as refusal:
            connect(url, origin=Origin("https://evil.example"))
        assert refusal.value.response.status_code == 403


def test_rooms_per_connection_reach_the_apps_rooms(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from roomcast import LimitReached, Rooms, websocket_app\n"
        "rooms = Rooms()\n"
        "@rooms.wrap\n"
        "@websocket_app\n"
        "async def app(ws):\n"
        "    await ws.accept()\n"
        "    try:\n"
        "        for number in range(200):\n"
        "            await rooms.enter(str(number), ws)\n"
        "    except LimitReached:\n"
        "        await ws.send(str(number))\n"
        "    else:\n"
        "        await ws.send('all')\n"
    )
    for options, joined in (([], "128"), (["--rooms-per-connection", "3"], "3"), (["--no-limits"], "all")):
        program = Program.roomcast("serve", "app:app", "--port", "0", *options, cwd=tmp_path)
        with program, connect(url_of(program)) as client:
            assert client.recv(timeout=5) == joined
