"""A chat that wants tokens, as a program: what it prints, and what it never prints."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from roomcast.auth import SecretKey, TokenAuthenticator, make_token
from tests.auth.signing import SECRET, ec_pair, rsa_pair
from tests.programs import ROOMCAST, Program, run

APPS = Path(__file__).parents[1] / "apps"


def url_of(program: Program) -> str:
    return program.wait_for_line(r" on (http://\S+) \(")[1]


def talk(url: str, path: str = "/ws/chat", token: str | None = None, **options: Any) -> ClientConnection:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    connection: ClientConnection = connect(
        url.replace("http", "ws") + path, proxy=None, additional_headers=headers, **options
    )
    return connection


def printed_token(*arguments: str | Path, **env: str) -> str:
    program = run(ROOMCAST, "token", *arguments, env=env)
    assert program.returncode == 0, program.output
    assert program.stderr == ""
    return program.stdout.removesuffix("\n")


def refused(*arguments: str | Path, **env: str) -> str:
    """The one line with which the command refuses its arguments."""
    program = run(ROOMCAST, *arguments, env=env)
    assert program.returncode == 2, program.output
    assert program.stdout == ""
    assert program.stderr.count("\n") == 1
    return program.stderr.removeprefix("Error: ").rstrip("\n")


# What a server takes


def test_a_token_that_the_command_prints_lets_its_user_in() -> None:
    env = {"ROOMCAST_TOKEN_SECRET": SECRET}
    with Program.roomcast("serve", "--port", "0", "--broker", "memory://", env=env) as program:
        line = program.wait_for_line("^Roomcast chat on .+$")[0]
        assert "(who comes needs a token; Ctrl+C stops it)" in line
        url = url_of(program)
        ada = printed_token("--user", "ada", "--name", "Ada", "--room", "team-*", **env)
        reader = printed_token("--user", "bob", "--room", "team-*", "--can", "join,presence", **env)
        with talk(url, "/ws/chat?room=team-1", ada) as client, talk(url, "/ws/chat?room=team-1", reader) as other:
            assert json.loads(client.recv(5))["message"] == "bob joined #team-1"
            other.send("hi")
            assert json.loads(other.recv(5))["code"] == 4003
            client.send("hi")
            assert json.loads(other.recv(5))["from"] == "Ada"
        for bad, status in (
            (ada, 403),
            (None, 401),
            (printed_token("--user", "x", "--room", "*", "--secret", "other"), 401),
        ):
            with pytest.raises(InvalidStatus) as answer, talk(url, "/ws/chat?room=general", bad):
                pass
            assert answer.value.response.status_code == status
        assert httpx.get(url).status_code == 200
        assert program.terminate() == 0
    assert SECRET not in program.output


def test_a_key_a_certificate_and_a_jwks_can_be_files(tmp_path: Path) -> None:
    (tmp_path / "private.pem").write_bytes(rsa_pair().pem)
    (tmp_path / "public.pem").write_bytes(rsa_pair().public_pem)
    (tmp_path / "ec.pem").write_bytes(ec_pair().pem)
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [ec_pair().jwk("2026")]}))
    keys: list[str | Path] = [
        "--token-key",
        tmp_path / "public.pem",
        "--jwks",
        tmp_path / "jwks.json",
        "--token-audience",
        "chat",
    ]
    with Program.roomcast("serve", "--port", "0", "--broker", "memory://", *keys) as program:
        url = url_of(program)
        ours, theirs = tmp_path / "private.pem", tmp_path / "ec.pem"
        for key, kid in ((ours, "unknown"), (theirs, "2026")):
            made = printed_token("--key", key, "--kid", kid, "--user", "ada", "--room", "*", "--audience", "chat")
            with talk(url, token=made) as client:
                client.send("hi")
                assert json.loads(client.recv(5))["from"] == "ada"


def test_several_workers_and_an_app_of_ones_own_hear_of_it() -> None:
    env = {"ROOMCAST_TOKEN_SECRET": SECRET}
    options = ["main:guarded", "--port", "0", "--workers", "2"]
    with Program.roomcast("serve", *options, cwd=APPS, env=env) as program:
        url = url_of(program)
        with talk(url, token=make_token(SECRET, "ada")) as client:
            assert client.recv(5) == "ada"
        with pytest.raises(InvalidStatus), talk(url):
            pass


def test_a_secret_that_can_be_guessed_is_warned_of_and_not_shown() -> None:
    with Program.roomcast("serve", "--port", "0", "--token-secret", "hunter2", "--broker", "memory://") as program:
        warning = program.wait_for_line("^Warning: (.+)$")[1]
        assert warning.startswith("--token-secret has fewer than 32 bytes")
        url_of(program)
    assert "hunter2" not in program.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--token-key", "/nothing"], "--token-key: the key file /nothing cannot be read: No such file"),
        (["--jwks", "https://me:secret@host/"], "--jwks: the URL of a JWKS has no user and no password"),
        (["--token-issuer", "x"], "--token-issuer is of no use without keys"),
        (["--token-secret", "s", "--token-leeway", "x"], "--token-leeway is 'x'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_setting_that_cannot_be_is_refused(arguments: list[str], problem: str) -> None:
    error = refused("serve", *arguments)
    assert error.startswith(problem)
    assert "secret@" not in error


def test_a_bad_variable_is_refused_by_its_name() -> None:
    assert refused("serve", ROOMCAST_TOKEN_KEY="/nothing").startswith("ROOMCAST_TOKEN_KEY: the key file")


async def test_a_token_that_opens_no_room_is_printed_with_a_note() -> None:
    program = run(ROOMCAST, "token", "--user", "ada", "--secret", SECRET)
    assert program.returncode == 0
    assert program.stderr.startswith("Note: this token opens no room: say which it opens with --room")
    assert program.stderr.count("\n") == 1
    identity = await TokenAuthenticator(SecretKey(SECRET), rooms={"*": ["join"]}).identify(program.stdout.strip())
    assert not identity.may("join", "general")


def test_what_only_an_app_of_ones_own_can_ask_for_is_printed_with_a_note() -> None:
    program = run(ROOMCAST, "token", "--user", "ada", "--room", "*", "--can", "join,fly", "--secret", SECRET)
    assert program.returncode == 0
    assert program.stderr == (
        "Note: --can 'fly' is for an app of your own: Roomcast itself knows join, publish, presence, history\n"
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--user", "ada"], "a token is signed: set --secret, ROOMCAST_TOKEN_SECRET or --key FILE"),
        (["--secret", "s"], "Missing option '--user'"),
        (["--secret", "s", "--user", ""], "a user's name has 1 to 255 characters"),
        (["--secret", "s", "--user", "ada", "--expires", "soon"], "--expires is 'soon': write it like 90s"),
        (["--secret", "s", "--user", "ada", "--expires", "0"], "--expires is '0'"),
        (["--secret", "s", "--user", "ada", "--room", ""], "rooms: a pattern"),
        (["--key", "/nothing", "--user", "ada"], "the key file /nothing cannot be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_token_that_cannot_be_made_is_told_in_one_line(arguments: list[str], problem: str) -> None:
    assert refused("token", *arguments).startswith(problem)


# What is never printed


def leaks(output: str, *tokens: str) -> list[str]:
    """The parts of the tokens that are in the output."""
    parts = [part for token in tokens for part in token.split(".")[1:] if len(part) > 8]
    return [part for part in parts if part in output]


def visit(url: str, good: str, bad: str) -> None:
    """Bring the tokens in every way that there is, and let each fail and succeed."""
    query = "room=of-a-query-with-a-token&token="
    with httpx.Client(base_url=url) as http:
        for token in (good, bad):
            for path in ("/", "/healthz", "/nothing", "/ws/chat"):
                http.get(f"{path}?{query}{token}", headers={"Authorization": f"Bearer {token}"})
    for token in (good, bad):
        for path in (f"/ws/chat?{query}{token}", f"/ws/chat?{query[:-6]}%74oken={token}", f"/no?{query}{token}"):
            with suppress(InvalidStatus), talk(url, path) as client:
                client.send("hi")
                client.recv(5)
        offered: Any = ["roomcast.chat.v1", f"roomcast.token.{token}"]
        with suppress(ConnectionClosed), talk(url, subprotocols=offered, origin=url) as client:
            assert client.subprotocol == "roomcast.chat.v1"
            client.recv(5)
            client.send(json.dumps({"type": "token", "token": bad}))
            client.recv(5)
        with suppress(InvalidStatus), talk(url, token=token) as client:
            client.send(json.dumps({"type": "token", "token": bad}))
            assert json.loads(client.recv(5))["code"] == 4001
            client.send(json.dumps({"type": "token", "token": good}))
            assert json.loads(client.recv(5))["type"] == "token"


@pytest.mark.parametrize("level", ["info", "trace"])
def test_no_token_and_no_query_that_held_one_is_ever_printed(level: str) -> None:
    good = make_token(SECRET, "ada", rooms=["*"])
    bad = make_token("another secret", "eve", rooms=["*"])
    options = ["--port", "0", "--broker", "memory://", "--log-level", level]
    with Program.roomcast("serve", *options, env={"ROOMCAST_TOKEN_SECRET": SECRET}) as program:
        url = url_of(program)
        visit(url, good, bad)
        httpx.get(f"{url}/?last=of-all")
        program.wait_for_line(r'"GET / HTTP/1\.1" 200')
        assert program.terminate() == 0
    assert leaks(program.output, good, bad) == []
    assert "of-a-query-with-a-token" not in program.output
    assert SECRET not in program.output
    assert "\"WebSocket /ws/chat\" of 'ada' closed 1000" in program.output
    assert '"GET /healthz HTTP/1.1" 200' in program.output
    assert "Traceback" not in program.output


def test_under_plain_uvicorn_it_is_the_same() -> None:
    good = make_token(SECRET, "ada", rooms=["*"])
    bad = make_token("another secret", "eve", rooms=["*"])
    uvicorn = ROOMCAST.with_name("uvicorn")
    app = ["roomcast.chat.app:create_app", "--factory", "--port", "0", "--ws", "websockets-sansio"]
    with Program(uvicorn, *app, env={"ROOMCAST_TOKEN_SECRET": SECRET}) as program:
        url = program.wait_for_line(r"running on (http://\S+)")[1]
        visit(url, good, bad)
        httpx.get(f"{url}/?last=of-all")
        program.wait_for_line("/\\?last=of-all")
        program.terminate()
    assert leaks(program.output, good, bad) == []
    assert "of-a-query-with-a-token" not in program.output
    assert re.search(r'"WebSocket /ws/chat\?…"', program.output)
