"""`roomcast connect`, in a pipe and on a terminal."""

from __future__ import annotations

import json
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
import trustme

from roomcast.client import tls_context
from roomcast.testing import LiveServer
from tests.cli.conftest import application
from tests.cli.piped import complaint, free_port, roomcast
from tests.cli.terminal import CTRL_A, CTRL_C, CTRL_D, ENTER, UP, Terminal
from tests.programs import DEADLINE, ROOMCAST, Program

if TYPE_CHECKING:
    from pathlib import Path


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# In a pipe


def test_each_line_is_sent_and_what_comes_back_is_a_line(server: LiveServer) -> None:
    done = roomcast("connect", server.ws_url, stdin="one\ntwo é\r\n\nlast")
    assert (done.returncode, done.stdout) == (0, "one\ntwo é\n\nlast\n")
    assert done.stderr == f"connected to {server.ws_url}/\nclosed\n"


def test_much_goes_through(server: LiveServer) -> None:
    text = "".join(f"{number} {'x' * 200}\n" for number in range(20_000))
    done = roomcast("connect", server.ws_url, stdin=text)
    assert (done.returncode, done.stdout) == (0, text)


def test_json_tells_all_that_happens(server: LiveServer) -> None:
    done = roomcast("connect", f"{server.ws_url}/closing", "--json", "--wait", "inf")
    assert done.returncode == 1
    assert done.stderr == ""
    assert lines(done.stdout) == [
        {"type": "open", "url": f"{server.ws_url}/closing", "deflate": False},
        {"type": "text", "text": "hello"},
        {
            "type": "close",
            "code": 4020,
            "reason": "too slow",
            "meaning": "the client did not read what was sent to it, until too much waited for it",
            "advice": "resume",
            "by": "server",
        },
    ]


def test_a_close_code_is_explained_in_words(server: LiveServer) -> None:
    done = roomcast("connect", f"{server.ws_url}/closing", "--wait", "inf")
    assert done.returncode == 1
    assert done.stdout == "hello\n"
    assert done.stderr.splitlines()[-1] == (
        "closed by the server (4020, “too slow”): the client did not read what was sent to it, until too much "
        "waited for it; come back after a moment"
    )


def test_binary_messages_go_and_come_as_they_are(server: LiveServer) -> None:
    done = subprocess.run(
        [ROOMCAST, "connect", server.ws_url, "--binary"],
        input=b"\xff\x00\nabc\n",
        capture_output=True,
        timeout=DEADLINE,
        check=True,
    )
    assert done.stdout == b"\xff\x00abc"
    assert roomcast("connect", f"{server.ws_url}/evil", "--wait", "inf").stdout.splitlines()[-1] == "00ff"
    told = lines(roomcast("connect", f"{server.ws_url}/evil", "--wait", "inf", "--json").stdout)
    assert told[2] == {"type": "binary", "base64": "AP8="}


def test_a_token_headers_and_subprotocols_are_sent(server: LiveServer) -> None:
    arguments = ["connect", f"{server.ws_url}/who", "--wait", "inf", "--header", "X-More: a: b"]
    done = roomcast(*arguments, "--token", "secret", "--subprotocol", "x", "--subprotocol", "y")
    assert json.loads(done.stdout) == {"token": "Bearer secret", "x": "a: b"}
    assert "(subprotocol x)" in done.stderr
    done = roomcast(*arguments, ROOMCAST_TOKEN="other")
    assert json.loads(done.stdout)["token"] == "Bearer other"


def test_in_a_room_lines_are_said_there(chat: LiveServer) -> None:
    done = roomcast("connect", chat.url, "--room", "pipe", "--name", "Ada", stdin='{"text": "not this"}\n')
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["type"], one.get("from"), one.get("text")) for one in said] == [
        ("message", "Ada", '{"text": "not this"}')
    ]


def test_a_refusal_is_explained_and_ends_with_1(server: LiveServer) -> None:
    error = complaint("connect", f"{server.ws_url}/refused", status=1)
    assert error.startswith("the server refused with HTTP status 403 Forbidden (")
    assert "not you" in error
    done = roomcast("connect", f"{server.ws_url}/refused", "--json")
    (told,) = lines(done.stdout)
    assert (told["type"], told["status"]) == ("refused", 403)


def test_where_nothing_listens_it_says_so_and_ends_with_3() -> None:
    port = free_port()
    error = complaint("connect", f"localhost:{port}", status=3)
    assert error == f"nothing listens on localhost, port {port}: is the server running there?"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["ftp://x"], "ftp:// is no scheme of a server here"),
        (["localhost:1", "--header", "no header"], "--header: 'no header' is no header: write 'Name: value'"),
        (["localhost:1", "--header", "a b: c"], "the header name b'a b' is not a token"),
        (["localhost:1", "--subprotocol", "a b"], "the subprotocols must be tokens, each named once"),
        (["localhost:1", "--insecure"], "--cafile and --insecure are about TLS: they need wss:// or https://"),
        (["localhost:1", "--name", "Ada"], "--name is a name in a room of the chat: it needs --room"),
        (["localhost:1", "--room", "a", "--binary"], "--binary and --room exclude each other"),
        (["localhost:1", "--token", "🎉"], "--token: headers have Latin letters, digits and signs only"),
        (["localhost:1", "--wait", "-1"], "--wait: -1.0 is not in the range x>=0.0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_asked_for_is_refused(arguments: list[str], problem: str) -> None:
    assert complaint("connect", *arguments, status=2).startswith(problem)


def test_input_that_is_no_text_is_refused(server: LiveServer) -> None:
    done = roomcast("connect", server.ws_url, stdin=b"\xff\n")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "Error: the input is not UTF-8 (invalid start byte): --binary sends any bytes"
    )


def test_a_reader_that_goes_away_ends_it_without_a_word(server: LiveServer) -> None:
    text = "x" * 1000
    done = subprocess.run(
        f"yes {text} | {ROOMCAST} connect {server.ws_url} | head -1 >/dev/null; echo ${{PIPESTATUS[1]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert done.stdout == "1\n"
    assert done.stderr == f"connected to {server.ws_url}/\n"


def test_a_certificate_that_is_not_trusted_is_told_and_can_be(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    assert isinstance(tls_context(cafile=str(tmp_path / "ca.pem")), ssl.SSLContext)
    with LiveServer(
        application, ssl_certfile=str(tmp_path / "cert.pem"), ssl_keyfile=str(tmp_path / "key.pem")
    ) as live:
        url = live.ws_url.replace("ws://", "wss://")
        assert complaint("connect", url, status=3) == (
            "the certificate of 127.0.0.1 cannot be trusted: it is signed by an authority that this machine does "
            "not know"
        )
        for option in (["--cafile", tmp_path / "ca.pem"], ["--insecure"]):
            assert roomcast("connect", url, *option, stdin="hi\n").stdout == "hi\n"


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_ctrl_c_ends_it_quietly(server: LiveServer, options: list[str]) -> None:
    with Program.roomcast("connect", f"{server.ws_url}/silent", "--wait", "inf", *options) as program:
        program.wait_for_line("connected|open")
        program.press_ctrl_c()
        assert program.wait() == 0
        assert "Traceback" not in program.output


# On a terminal


def test_a_person_types_and_sees_and_has_the_lines_of_before(server: LiveServer, tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path)}
    with Terminal("connect", server.ws_url, env=env) as terminal:
        terminal.wait_for(f"connected to {server.ws_url}/; Ctrl")
        terminal.type('{{"a": [1, 2], "long": "{}"}}{}'.format("x" * 60, ENTER))
        terminal.wait_for(r'← \{\n  "a": \[\n    1,')
        terminal.type(f"ello{CTRL_A}h{ENTER}")
        terminal.wait_for("← hello")
        terminal.type(UP + UP + UP)  # there is no third: it stays at the first
        terminal.type(CTRL_A + "again " + ENTER)
        terminal.wait_for('← again {"a": ')
        terminal.type(CTRL_D)
        assert terminal.wait() == 0
        assert terminal.shown.rstrip().endswith("closed")
    file = tmp_path / "roomcast" / "connect-history"
    assert "+hello\n" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    with Terminal("connect", server.ws_url, env=env) as terminal:
        terminal.wait_for("connected")
        terminal.type(UP + UP + ENTER)
        terminal.wait_for("← hello")
        terminal.type(CTRL_C)
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.shown


def test_a_peer_cannot_move_the_cursor(server: LiveServer) -> None:
    with Terminal("connect", f"{server.ws_url}/evil") as terminal:
        terminal.wait_for(r"← \\x1b\]0;owned\\x07\\x1b\[2J")
        terminal.wait_for("2 bytes +00 ff")
        assert terminal.wait() == 0
        assert "\x1b]0;" not in terminal.raw
        assert "\x1b[2J" not in terminal.raw


def test_the_servers_close_ends_it_while_a_line_is_being_typed(server: LiveServer) -> None:
    with Terminal("connect", f"{server.ws_url}/closing") as terminal:
        terminal.wait_for(r"closed by the server \(4020, “too slow”\): the client did not read")
        assert terminal.wait() == 1
        assert "Traceback" not in terminal.shown


def test_in_a_room_it_is_a_chat(chat: LiveServer) -> None:
    with Terminal("connect", chat.url, "--room", "tty", "--name", "Ada") as ada:
        ada.wait_for("in #tty are 1: Ada")
        with Terminal("connect", chat.url, "--room", "tty", "--name", "Bob") as bob:
            bob.wait_for("in #tty are 2: Ada, Bob")
            ada.wait_for("Bob joined #tty")
            bob.type("hello Ada" + ENTER)
            ada.wait_for("Bob: hello Ada")
            bob.type(CTRL_D)
            assert bob.wait() == 0
        ada.wait_for("Bob left #tty")
