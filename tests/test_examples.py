"""The examples, each started with the command in its docstring and talked to over the network."""

from __future__ import annotations

import ast
import asyncio
import inspect
import itertools
import json
import re
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

from examples import client, http_and_websocket, reject, three_clients
from roomcast import testing
from tests.brokers.redis_server import needs_redis
from tests.programs import DEADLINE, Program, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
CHATS = pytest.mark.parametrize("chat", ["chat_raw", "chat_roomcast"])
ROOMS = itertools.count(1)


class Servers(ExitStack):
    """The examples that serve, each started when it is first asked for, and stopped at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._hosts: dict[str, str] = {}
        self._programs: dict[str, Program] = {}

    def host(self, example: str) -> str:
        """Where the example serves: 127.0.0.1 and its port."""
        if example not in self._hosts:
            program = Program.roomcast("serve", served_by(example), "--port", "0", cwd=ROOT)
            self._programs[example] = self.enter_context(program)
            self._hosts[example] = program.wait_for_line(r" on http://(\S+)")[1]
        return self._hosts[example]

    def http(self, example: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://{self.host(example)}", timeout=DEADLINE, trust_env=False)

    def connect(self, example: str, path: str = "/ws", **headers: str) -> Client:
        return Client(f"ws://{self.host(example)}{path}", headers)

    def chat(self, example: str, room: str) -> Client:
        return self.connect(example, f"/ws?room={room}")

    def stop(self) -> None:
        """Stop them all as a user does, and see that none of them had anything to complain about."""
        for program in self._programs.values():
            assert program.terminate() == 0, program.output
            assert "Traceback" not in program.output, program.output
            assert "ERROR" not in program.output, program.output


class Client:
    """A WebSocket client that waits for nothing without a deadline."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self._connecting = connect(url, additional_headers=headers, open_timeout=DEADLINE, proxy=None)

    async def __aenter__(self) -> Self:
        self.connection: ClientConnection = await self._connecting.__aenter__()
        self.send = self.connection.send
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.connection.close()

    async def receive(self) -> str | bytes:
        async with asyncio.timeout(DEADLINE):
            return await self.connection.recv()

    async def leave(self) -> None:
        """Close, and wait until the server has closed, too."""
        await self.connection.close()

    def vanish(self) -> None:
        """Lose the connection, without a close frame."""
        self.connection.transport.abort()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with Servers() as servers:
        yield servers
        servers.stop()


@pytest.fixture
def room() -> str:
    """A room of the test's own."""
    return f"room-{next(ROOMS)}"


def served_by(example: str) -> str:
    """The app of the example, or for a client its server's: what its docstring says to serve."""
    docstring = ast.get_docstring(ast.parse((EXAMPLES / f"{example}.py").read_text(encoding="utf-8")))
    (app,) = re.findall(r"^roomcast serve (\S+)$", docstring or "", re.MULTILINE)
    return str(app)


async def refusal(connecting: Client) -> tuple[int, bytes]:
    """The status and the body that a connection is refused with."""
    with pytest.raises(InvalidStatus) as refused:
        async with connecting:
            pass
    return refused.value.response.status_code, bytes(refused.value.response.body or b"")


def said(listener: str, name: str) -> str:
    """What one of the three clients prints when it hears another, or itself."""
    return f"{listener} received: {{'type': 'message', 'text': 'Hello from {name}', 'room': 'general'}}"


def message(text: str, room: str) -> str:
    """A message of the chat, on the wire."""
    return f'{{"type": "message", "text": "{text}", "room": "{room}"}}'


def notice(verb: str, room: str) -> str:
    """The chat's notice that somebody joined or left, on the wire."""
    return f'{{"type": "system", "message": "A user {verb} #{room}"}}'


def test_the_readme_tells_of_every_example() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| \[`(\w+\.py)`\]\(\1\) ", readme, re.MULTILINE)
    assert sorted(told) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("example", ["echo", "binary_echo", "reject", "chat_raw", "chat_roomcast"])
async def test_what_speaks_only_websocket_has_no_pages(servers: Servers, example: str) -> None:
    async with servers.http(example) as http:
        response = await http.get("/")
    assert response.status_code == 404
    assert response.headers["content-type"] == "text/plain"
    assert response.content == b"Not Found"


@pytest.mark.parametrize("path", ["/ws", "/", "/any/where?at=all"])
async def test_echo_sends_text_and_bytes_back(servers: Servers, path: str) -> None:
    async with servers.connect("echo", path) as ws:
        await ws.send("Grüße, ☃ and 😀")
        assert await ws.receive() == "Echo: Grüße, ☃ and 😀"
        await ws.send(b"\x00\xff")
        assert await ws.receive() == b"\x00\xff"
        await ws.send("0")
        assert await ws.receive() == "Echo: 0"


async def test_echo_ignores_empty_messages(servers: Servers) -> None:
    async with servers.connect("echo") as ws:
        await ws.send("")
        await ws.send(b"")
        await ws.send("after the empty ones")
        assert await ws.receive() == "Echo: after the empty ones"


async def test_binary_echo_sends_everything_back_as_bytes(servers: Servers) -> None:
    async with servers.connect("binary_echo") as ws:
        pairs: list[tuple[str | bytes, bytes]] = [
            (b"\x00\xff", b"\x00\xff"),
            ("Grüße", "Grüße".encode()),
            (b"", b""),
            ("", b""),
        ]
        for sent, echoed in pairs:
            await ws.send(sent)
            assert await ws.receive() == echoed


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/ws?token=valid-token", {}),
        ("/ws?room=general&token=valid-token&token=other", {}),
        ("/ws", {"Authorization": "Bearer valid-token"}),
        ("/ws?token=other", {"Authorization": "Bearer valid-token"}),
        ("/ws?token=valid-token", {"Authorization": "Basic dXNlcjpwYXNz"}),
    ],
)
async def test_reject_lets_a_good_token_in(servers: Servers, path: str, headers: dict[str, str]) -> None:
    async with servers.connect("reject", path, **headers) as ws:
        await ws.send("still here?")
        async with asyncio.timeout(DEADLINE):
            await (await ws.connection.ping())


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/ws", {}),
        ("/ws?token=", {}),
        ("/ws?token=other", {}),
        ("/ws?token=valid%2Dtoken", {}),
        ("/ws?token=other&token=valid-token", {}),
        ("/ws?my_token=valid-token", {}),
        ("/ws", {"Authorization": "bearer valid-token"}),
        ("/ws", {"Authorization": "Basic valid-token"}),
        ("/ws?token=valid-token", {"Authorization": "Bearer other"}),
    ],
)
async def test_reject_turns_others_away(servers: Servers, path: str, headers: dict[str, str]) -> None:
    assert await refusal(servers.connect("reject", path, **headers)) == (403, b"Forbidden\n")


async def test_reject_closes_with_its_own_code_before_the_accept() -> None:
    refused = await testing.connect(reject.application, "/ws?token=other").open()
    assert (refused.accepted, refused.close_code) == (False, 4001)
    await refused.finished()


@CHATS
async def test_chat_tells_of_arrivals_messages_and_departures(servers: Servers, chat: str, room: str) -> None:
    joined, left = notice("joined", room), notice("left", room)
    async with servers.chat(chat, room) as ada, servers.chat(chat, room) as bob:
        assert await ada.receive() == joined
        async with servers.chat(chat, room) as eve:
            assert [await ada.receive(), await bob.receive()] == [joined, joined]
            await eve.send('{"text": "hi"}')
            for ws in (ada, bob, eve):  # the first thing that Eve hears is herself
                assert await ws.receive() == f'{{"type": "message", "text": "hi", "room": "{room}"}}'
        assert [await ada.receive(), await bob.receive()] == [left, left]
        bob.vanish()
        assert await ada.receive() == left


@CHATS
@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ("hello", '"hello"'),
        ('{"text":"hi","room":"other","type":"system"}', '"hi"'),
        ("Grüße, ☃ 😀", '"Gr\\u00fc\\u00dfe, \\u2603 \\ud83d\\ude00"'),
        ('{"text": "Grüße"}', '"Gr\\u00fc\\u00dfe"'),
        ('{"text": "half of \\ud83d"}', '"half of \\ud83d"'),
        ('{"text": ""}', '""'),
        ('{"text": null}', "null"),
        ('{"text": {"b":[1,2.0],"a":true}}', '{"b": [1, 2.0], "a": true}'),
        ("{}", '"{}"'),
        ('{"name": "Ada"}', '"{\\"name\\": \\"Ada\\"}"'),
        ("{not JSON", '"{not JSON"'),
        ("</script>\n", '"</script>\\n"'),
        ("123", '"123"'),
        ("[1, 2]", '"[1, 2]"'),
        ('"hi"', '"\\"hi\\""'),
        ("null", '"null"'),
    ],
)
async def test_chat_finds_a_text_in_every_frame(
    servers: Servers, chat: str, room: str, frame: str, text: str
) -> None:
    async with servers.chat(chat, room) as ws:
        await ws.send(frame)
        assert await ws.receive() == f'{{"type": "message", "text": {text}, "room": "{room}"}}'


@CHATS
async def test_chat_says_nothing_for_empty_and_binary_messages(servers: Servers, chat: str, room: str) -> None:
    async with servers.chat(chat, room) as ws:
        await ws.send("")
        await ws.send(b"")
        await ws.send(b'{"text": "hi"}')
        await ws.send("words")
        assert await ws.receive() == message("words", room)


@CHATS
async def test_chat_keeps_rooms_apart(servers: Servers, chat: str, room: str) -> None:
    async with servers.chat(chat, room) as here, servers.chat(chat, f"not-{room}") as there:
        await there.send("black")
        assert await there.receive() == message("black", f"not-{room}")
        await here.send("green")
        assert await here.receive() == message("green", room)


@CHATS
async def test_chat_is_in_general_where_no_room_is_named(servers: Servers, chat: str) -> None:
    async with servers.connect(chat, "/ws?room=general") as ws:
        for query in ("", "?", "?my_room=x", "?ROOM=x"):
            async with servers.connect(chat, f"/ws{query}") as other:
                assert await ws.receive() == notice("joined", "general")
                await other.send("hi")
                assert [await ws.receive(), await other.receive()] == [message("hi", "general")] * 2
            assert await ws.receive() == notice("left", "general")


@pytest.mark.parametrize(
    ("chat", "query", "room"),
    [
        ("chat_raw", "a=b&room=x&room=y", "x"),
        ("chat_raw", "room=a=b", "a=b"),
        ("chat_raw", "room=", ""),
        ("chat_raw", "room=caf%C3%A9+noir", "caf%C3%A9+noir"),
        ("chat_roomcast", "a=b&room=x", "x"),
        ("chat_roomcast", "room=caf%C3%A9+noir", "caf\\u00e9 noir"),
    ],
)
async def test_chat_takes_the_room_from_the_query(servers: Servers, chat: str, query: str, room: str) -> None:
    async with servers.connect(chat, f"/ws?{query}") as ws, servers.connect(chat, f"/ws?{query}") as other:
        assert await ws.receive() == notice("joined", room)
        await ws.send("hi")
        assert [await ws.receive(), await other.receive()] == [message("hi", room)] * 2
        await ws.leave()
        assert await other.receive() == notice("left", room)


async def test_one_app_serves_the_page(servers: Servers) -> None:
    async with servers.http("http_and_websocket") as http:
        response = await http.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-length"] == str(len(response.content))
    assert response.text == http_and_websocket.PAGE


async def test_one_app_has_no_other_page(servers: Servers) -> None:
    async with servers.http("http_and_websocket") as http:
        for response in [await http.get("/index.html"), await http.post("/ws/chat", content=b"x" * 100_000)]:
            assert response.status_code == 404
            assert response.headers["content-type"] == "text/plain"
            assert response.headers["content-length"] == "9"
            assert response.content == b"Not Found"


async def test_one_app_serves_the_chat_and_the_echo(servers: Servers) -> None:
    async with (
        servers.connect("http_and_websocket", "/ws/echo") as echo,
        servers.connect("http_and_websocket", "/ws/chat") as chat,
        servers.connect("http_and_websocket", "/ws/chat?room=general"),
    ):
        assert await chat.receive() == notice("joined", "general")
        await echo.send("hi")
        assert await echo.receive() == "Echo: hi"
        await chat.send("hi")
        assert await chat.receive() == message("hi", "general")


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/chat/"])
async def test_one_app_turns_other_websockets_away(servers: Servers, path: str) -> None:
    assert await refusal(servers.connect("http_and_websocket", path)) == (403, b"Forbidden\n")
    refused = await testing.connect(http_and_websocket.application, path).open()
    assert (refused.accepted, refused.close_code) == (False, 4004)
    await refused.finished()


async def test_starlette_endpoint_sends_text_back(servers: Servers) -> None:
    async with servers.connect("starlette_endpoint") as ws:
        for text in ("Grüße, ☃ and 😀", ""):
            await ws.send(text)
            assert await ws.receive() == f"Echo: {text}"


async def test_fastapi_endpoint_greets(servers: Servers) -> None:
    async with servers.connect("fastapi_endpoint") as ws:
        assert await ws.receive() == "Connected!"
        await ws.send("Grüße")
        assert await ws.receive() == "Echo: Grüße"


async def test_fastapi_rooms_publishes_what_is_posted(servers: Servers, room: str) -> None:
    path = f"/rooms/{room}"
    async with (
        servers.http("fastapi_rooms") as http,
        servers.connect("fastapi_rooms", path) as ada,
        servers.connect("fastapi_rooms", path) as bob,
        servers.connect("fastapi_rooms", f"{path}-weather") as eve,
    ):
        assert (await http.post(path, json={"headline": "It works ☃"})).json() == {"offset": 1}
        assert (await http.post(path, json={"headline": "Still"})).json() == {"offset": 2}
        assert (await http.post(f"{path}-weather", json={"rain": False})).json() == {"offset": 1}
        for ws in (ada, bob):
            assert await ws.receive() == '{"headline":"It works ☃"}'
            assert await ws.receive() == '{"headline":"Still"}'
        assert await eve.receive() == '{"rain":false}'


async def test_fastapi_rooms_refuses_what_it_cannot_publish(servers: Servers) -> None:
    too_long = f"/rooms/{'x' * 256}"
    async with servers.http("fastapi_rooms") as http:
        assert (await http.post("/rooms/news", content=b"{")).status_code == 422
        assert (await http.post(too_long, json={})).status_code == 422
    assert await refusal(servers.connect("fastapi_rooms", too_long)) == (403, b"Forbidden\n")


async def test_fastapi_rooms_tells_the_others_what_a_member_says(servers: Servers, room: str) -> None:
    path = f"/rooms/{room}%20%E2%98%83"
    async with servers.connect("fastapi_rooms", path) as ada, servers.connect("fastapi_rooms", path) as bob:
        await ada.send("hi")
        await ada.send(b"\x00\xff")
        assert [await bob.receive(), await bob.receive()] == ["hi", b"\x00\xff"]
        await bob.send("hi, Ada")
        assert await ada.receive() == "hi, Ada"


async def log_in(servers: Servers, user: str, password: str) -> dict[str, str]:
    """The headers of somebody who has logged in."""
    async with servers.http("fastapi_login") as http:
        answer = await http.post("/login", json={"user": user, "password": password})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    return {"Cookie": cookie.partition(";")[0]}


async def test_fastapi_login_lets_in_who_has_logged_in(servers: Servers, room: str) -> None:
    ada, bob = await log_in(servers, "ada", "lovelace"), await log_in(servers, "bob", "builder")
    team = f"/rooms/team-{room}"
    async with (
        servers.connect("fastapi_login", team, **ada) as her,
        servers.connect("fastapi_login", team, **bob) as him,
    ):
        await her.send("hi")
        assert await him.receive() == "hi"
        await him.send("hi, Ada")
        assert await him.receive() == "you may only listen here"
        await her.send("still there?")
        assert await him.receive() == "still there?"
    status, body = await refusal(servers.connect("fastapi_login", f"/rooms/{room}", **bob))
    assert (status, json.loads(body)) == (403, {"code": 4003, "reason": "this room is not open to you"})


@pytest.mark.parametrize(
    "headers", [{}, {"Cookie": "session=made-up"}, {"Cookie": "session="}], ids=["none", "bad", "empty"]
)
async def test_fastapi_login_turns_away_who_has_not(servers: Servers, headers: dict[str, str]) -> None:
    status, body = await refusal(servers.connect("fastapi_login", "/rooms/team-1", **headers))
    assert (status, json.loads(body)) == (401, {"code": 4001, "reason": "you are not signed in"})


async def test_fastapi_login_refuses_without_a_traceback_under_plain_uvicorn() -> None:
    command = (sys.executable, "-m", "uvicorn", "examples.fastapi_login:app", "--port", "0")
    with Program(*command, cwd=ROOT) as server:
        host = server.wait_for_line(r" on http://(\S+)")[1]
        status, _ = await refusal(Client(f"ws://{host}/rooms/team-1"))
        assert status == 401
        for bad in ("%E2%80%AEx", "%0A", "a%E2%80%A8"):
            status, body = await refusal(Client(f"ws://{host}/rooms/{bad}"))
            assert (status, json.loads(body)["code"]) == (400, 4000)
        server.terminate()
    assert "Traceback" not in server.output, server.output


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [("http://{host}", True), ("https://evil.example.com", False), ("null", False)],
)
async def test_fastapi_login_takes_the_cookie_from_its_own_pages(
    servers: Servers, origin: str, is_let_in: bool
) -> None:
    headers = {
        **await log_in(servers, "ada", "lovelace"),
        "Origin": origin.format(host=servers.host("fastapi_login")),
    }
    if is_let_in:
        async with servers.connect("fastapi_login", "/rooms/hall", **headers) as ws:
            await ws.send("hi")
    else:
        assert (await refusal(servers.connect("fastapi_login", "/rooms/hall", **headers)))[0] == 403


@pytest.mark.parametrize(("user", "password"), [("ada", "builder"), ("nobody", ""), ("ada", ""), ("", "")])
async def test_fastapi_login_takes_no_wrong_password(servers: Servers, user: str, password: str) -> None:
    async with servers.http("fastapi_login") as http:
        assert (await http.post("/login", json={"user": user, "password": password})).status_code == 401


def test_the_client_prints_what_comes_back(servers: Servers) -> None:
    program = run(sys.executable, "examples/client.py", f"ws://{servers.host('client')}/ws", cwd=ROOT)
    assert (program.returncode, program.output) == (0, "Echo: Hello, WebSocket!\n")


@CHATS
def test_three_clients_hear_each_other(servers: Servers, chat: str) -> None:
    program = run(sys.executable, "examples/three_clients.py", f"ws://{servers.host(chat)}/ws", cwd=ROOT)
    assert (program.returncode, program.stderr) == (0, "")
    heard = Counter(program.stdout.splitlines())
    names = ("Alice", "Bob", "Carol")
    for name in names:
        assert heard[f"{name} connected"] == 1
        assert heard[said(name, name)] == 1
    joined = {"type": "system", "message": "A user joined #general"}
    joins_heard = [heard[f"{name} received: {joined}"] for name in names]
    assert sorted(joins_heard) == [0, 1, 2]  # whoever came first heard both others come
    first = names[joins_heard.index(2)]
    assert all(heard[said(first, name)] == 1 for name in names)


@pytest.mark.parametrize(
    ("program", "requests"),
    [
        ("client", ["/ws Hello, WebSocket!"]),
        (
            "three_clients",
            [f'/ws?room=general {{"text": "Hello from {name}"}}' for name in ("Alice", "Bob", "Carol")],
        ),
    ],
)
async def test_clients_say_hello_and_close(program: str, requests: list[str]) -> None:
    heard: list[str] = []
    closes: list[int | None] = []

    async def record(ws: ServerConnection) -> None:
        assert ws.request is not None
        async for frame in ws:
            heard.append(f"{ws.request.path} {frame!s}")
            await ws.send("{}")
        closes.append(ws.close_code)

    async with serve(record, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"ws://127.0.0.1:{port}/ws"
        ended = await asyncio.to_thread(run, sys.executable, f"examples/{program}.py", url, cwd=ROOT)
    assert ended.returncode == 0, ended.output
    assert sorted(heard) == requests
    assert closes == [1000] * len(requests)


@needs_redis
def test_two_nodes_are_one_chat() -> None:
    program = run(sys.executable, "examples/two_nodes.py", cwd=ROOT)
    assert (program.returncode, program.stderr) == (0, "")
    assert program.stdout.splitlines() == [
        "Redis and two nodes are up",
        "Alice is told: A user joined #general",
        "Bob hears: Hello, other node!",
        "Alice hears: Hello, other node!",
        "Bob hears: Hello, Alice!",
        "Alice hears: Hello, Alice!",
    ]


@pytest.mark.parametrize("main", [client.main, three_clients.main])
def test_clients_go_where_roomcast_serves_by_default(main: Callable[..., object]) -> None:
    assert inspect.signature(main).parameters["url"].default == "ws://localhost:8000/ws"
