"""The chat over a real server and a real client: the wire format, to the byte where it is fixed."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import AsyncExitStack
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from roomcast import BrokerUnavailable, NotKept, Position, Rooms, WebSocket, websocket_app
from roomcast.chat import create_app, sockets
from roomcast.counts import Reason, counts
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.testing import LiveServer, lifespan
from roomcast.testing import connect as connect_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PAGE = "roomcast.chat.v1"


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(create_app("memory://")) as server:
        yield server


class Clients:
    """Opens connections, and closes them after the test."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack

    async def connect(self, path: str, **options: Any) -> ClientConnection:
        return await self._stack.enter_async_context(connect(self._url + path, proxy=None, **options))

    async def join(self, room: str, name: str | None = None, **options: Any) -> ClientConnection:
        query = f"?room={quote(room, safe='')}" + (f"&name={quote(name, safe='')}" if name else "")
        return await self.connect(f"/ws/chat{query}", **options)


@pytest.fixture
async def clients(server: LiveServer) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        yield Clients(server.ws_url, stack)


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room of the test's own."""
    return str(request.node.name)[:128]


async def receive(client: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(client.recv(), 5))


async def receive_raw(client: ClientConnection) -> str | bytes:
    return await asyncio.wait_for(client.recv(), 5)


async def close_of(client: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(client.recv(), 5)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_the_others_are_told_who_joins_and_the_joiner_is_not(clients: Clients, room: str) -> None:
    first = await clients.join(room)
    second = await clients.join(room)
    assert await receive(first) == {"type": "system", "message": f"A user joined #{room}"}
    await second.send("hello")
    assert (await receive(second))["type"] == "message"


async def test_a_json_object_with_text_goes_to_everyone_the_sender_included(clients: Clients, room: str) -> None:
    first, second = await clients.join(room), await clients.join(room)
    await receive(first)
    await second.send('{"text": "hello"}')
    for client in (first, second):
        message = await receive(client)
        assert list(message)[:3] == ["type", "text", "room"]
        assert {key: message[key] for key in ("type", "text", "room", "offset")} == {
            "type": "message",
            "text": "hello",
            "room": room,
            "offset": 1,
        }
        assert isinstance(message["time"], float)
        assert "from" not in message


@pytest.mark.parametrize(
    "frame",
    [
        "plain",
        "[1, 2]",
        "7",
        '"quoted"',
        "null",
        "true",
        '{"no": "text"}',
        '{"text": 5}',
        "{",
        "NaN",
        "[" * 4000,
    ],
)
async def test_any_other_text_is_the_message_itself(clients: Clients, frame: str) -> None:
    client = await clients.join("other-text")
    await client.send(frame)
    assert (await receive(client))["text"] == frame


@pytest.mark.parametrize("frame", ["", '{"text": ""}'])
async def test_empty_text_is_ignored(clients: Clients, room: str, frame: str) -> None:
    client = await clients.join(room)
    await client.send(frame)
    await client.send("after")
    assert (await receive(client))["text"] == "after"


async def test_a_lone_surrogate_in_a_message_travels_as_the_escape_that_it_came_as(
    clients: Clients, room: str
) -> None:
    client = await clients.join(room)
    await client.send('{"text": "\\ud800 é"}')
    assert (await receive(client))["text"] == "\ud800 é"


async def test_a_message_of_4000_characters_is_taken_and_a_longer_one_tells_its_sender(
    clients: Clients, room: str
) -> None:
    first = await clients.join(room)
    second = await clients.join(room, subprotocols=[PAGE])
    assert (await receive(second))["type"] == "welcome"
    assert (await receive(first))["type"] == "system"
    before = counts[Reason.MESSAGE_LENGTH]
    await second.send(json.dumps({"text": "é" * 4001, "key": "k"}))
    error = await receive(second)
    assert error == {"type": "error", "message": "a message has at most 4,000 characters", "key": "k"}
    await second.send("🎉" * 4001)
    assert (await receive(second))["message"] == "a message has at most 4,000 characters"
    assert counts[Reason.MESSAGE_LENGTH] == before + 2
    await second.send(json.dumps({"text": "🎉" * 4000}))
    assert (await receive(first))["text"] == "🎉" * 4000


async def test_the_page_knows_the_same_bound_as_the_server() -> None:
    composer = resources.files("roomcast.chat").joinpath("page", "composer.js").read_text(encoding="utf-8")
    assert f"const MOST_CHARACTERS = {sockets.MAX_TEXT};" in composer


async def test_a_binary_frame_gets_its_sender_an_error_and_the_others_nothing(clients: Clients, room: str) -> None:
    first, second = await clients.join(room), await clients.join(room)
    await receive(first)
    await second.send(b"\x00\x01")
    error = await receive(second)
    assert error["type"] == "error"
    assert "binary" in error["message"]
    await second.send("after")
    assert (await receive(first))["text"] == "after"


# What a script publishes


@pytest.mark.parametrize("subprotocols", [[], [PAGE]], ids=["plain", "page"])
@pytest.mark.parametrize(
    ("published", "fields"),
    [
        ("hello", {"text": "hello"}),
        ('{"text": "hello", "from": "Ada", "id": "nobody"}', {"text": "hello", "from": "Ada"}),
        ('{"text": "hello", "from": 7}', {"text": "hello"}),
        ({"text": "hello"}, {"text": "hello"}),
        ({"announcement": "tea}"}, {"text": '{"announcement":"tea}"}'}),
        ("[1, 2]", {"text": "[1, 2]"}),
        ("{", {"text": "{"}),
    ],
)
async def test_what_was_published_from_outside_is_a_message_to_the_chats_clients(
    subprotocols: list[str], published: Any, fields: dict[str, str]
) -> None:
    rooms = Rooms("memory://")

    async def handle(ws: WebSocket) -> None:
        await sockets.chat(ws, rooms)

    app = rooms.wrap(websocket_app(handle))
    async with lifespan(app), connect_to(app, "/?room=r", subprotocols=subprotocols) as client:
        if subprotocols:
            assert (await client.receive_json())["type"] == "welcome"
        await rooms.publish("r", b"\x00", keep=False)  # which the chat cannot show
        await rooms.publish("r", published)
        message = await client.receive_json()
        assert message.pop("time") > 0
        assert message == {"type": "message", "room": "r", "offset": 1, **fields}


# Where the history cannot be kept


async def test_who_says_something_that_cannot_be_kept_or_sent_is_told_and_goes_on() -> None:
    class Broken(MemoryBroker):
        error: Exception | None = None

        async def publish(self, room: str, payload: bytes, **settings: Any) -> Position:
            if isinstance(self.error, NotKept):
                self._deliver(room, None, payload)
            if self.error is not None and settings.get("keep", True):
                raise self.error
            return await super().publish(room, payload, **settings)

    broker = Broken()
    rooms = Rooms(broker)

    async def handle(ws: WebSocket) -> None:
        await sockets.chat(ws, rooms)

    app = rooms.wrap(websocket_app(handle))
    async with lifespan(app), connect_to(app, "/?room=r") as ada, connect_to(app, "/?room=r") as bob:
        assert (await ada.receive_json())["type"] == "system"
        broker.error = NotKept("/var/lib/secret.db is full")
        await ada.send("hello")
        for client in (ada, bob):
            message = await client.receive_json()
            assert (message["text"], "offset" in message) == ("hello", False)
        error = await ada.receive_json()
        assert error["type"] == "error"
        assert "could not keep your message" in error["message"]
        assert "secret" not in error["message"]
        broker.error = BrokerUnavailable("/var/lib/secret.db is full")
        await ada.send("lost")
        assert "could not send your message" in (await ada.receive_json())["message"]
        broker.error = None
        await ada.send("after")
        assert (await ada.receive_json())["text"] == (await bob.receive_json())["text"] == "after"


async def test_an_error_about_a_message_names_its_key() -> None:
    class Broken(MemoryBroker):
        async def publish(self, room: str, payload: bytes, **settings: Any) -> Position:
            if settings.get("keep", True):
                raise BrokerUnavailable("it is full")
            return await super().publish(room, payload, **settings)

    app = create_app(Broken())
    async with lifespan(app), connect_to(app, "/ws/chat", subprotocols=[PAGE]) as page:
        assert (await page.receive_json())["type"] == "welcome"
        await page.send('{"text":"hello","key":"a-1"}')
        error = await page.receive_json()
        assert (error["type"], error["key"]) == ("error", "a-1")


async def test_with_a_name_notices_and_messages_carry_it(clients: Clients, room: str) -> None:
    first = await clients.join(room)
    ada = await clients.join(room, "Ada Löve & Co")
    assert await receive(first) == {"type": "system", "message": f"Ada Löve & Co joined #{room}"}
    await ada.send("hi")
    assert (await receive(first))["from"] == "Ada Löve & Co"
    await ada.close()
    assert await receive(first) == {"type": "system", "message": f"Ada Löve & Co left #{room}"}


async def test_the_room_is_general_if_none_is_given(clients: Clients) -> None:
    client = await clients.connect("/ws/chat")
    await client.send("hi")
    assert (await receive(client))["room"] == "general"


async def test_room_names_are_percent_decoded(clients: Clients) -> None:
    client = await clients.connect("/ws/chat?room=caf%C3%A9%20%26%20bar%2F1")
    await client.send("hi")
    assert (await receive(client))["room"] == "café & bar/1"


async def test_rooms_do_not_hear_each_other(clients: Clients, room: str) -> None:
    here, there = await clients.join(room), await clients.join(room + "2")
    await there.send("there")
    assert (await receive(there))["text"] == "there"
    await here.send("here")
    assert (await receive(here))["text"] == "here"


@pytest.mark.parametrize(
    "query",
    [
        "room=",
        "room=" + "x" * 129,
        "room=a%00",
        "room=a&name=",
        "room=a&name=" + "x" * 65,
        "room=a&name=%0a",
        "room=" + "%C3%A9" * 129,
    ],
)
async def test_a_bad_room_or_name_is_refused_with_400_and_the_code_in_the_body(
    clients: Clients, query: str
) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await clients.connect(f"/ws/chat?{query}")
    assert refusal.value.response.status_code == 400
    body = json.loads(refusal.value.response.body)
    assert body["code"] == 4000
    assert "characters" in body["reason"]


@pytest.mark.parametrize("since", ["", "1", "1.", "x.y", "-1.a", "9" * 20 + ".a"])
async def test_a_position_that_is_none_is_refused(clients: Clients, since: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await clients.connect(f"/ws/chat?since={since}")
    assert "OFFSET.EPOCH" in json.loads(refusal.value.response.body)["reason"]


async def test_a_page_sees_the_refusal_as_a_close_code(clients: Clients) -> None:
    client = await clients.connect("/ws/chat?room=", origin="http://example.org")
    assert await close_of(client) == (4000, "a room has 1 to 128 characters")


async def test_a_page_that_is_refused_gets_a_subprotocol_without_which_browsers_see_no_close_code(
    clients: Clients,
) -> None:
    client = await clients.connect("/ws/chat?room=", origin="http://example.org", subprotocols=[PAGE])
    assert client.subprotocol == PAGE
    assert (await close_of(client))[0] == 4000


@pytest.mark.parametrize("name", ["é" * 128, "x" * 128, "\U0001f600" * 128])
async def test_a_room_of_128_characters_is_taken(clients: Clients, name: str) -> None:
    client = await clients.join(name, "n" * 64)
    await client.send("hi")
    assert (await receive(client))["room"] == name


@pytest.mark.parametrize("path", ["/ws/nothing", "/", "/ws", "/ws/chat/"])
async def test_any_other_path_is_refused_with_4004(clients: Clients, path: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await clients.connect(path)
    assert refusal.value.response.status_code == 404
    assert json.loads(refusal.value.response.body)["code"] == 4004
    page = await clients.connect(path, origin="http://example.org")
    assert (await close_of(page))[0] == 4004


async def test_leaving_is_told_once_however_it_comes(clients: Clients, room: str) -> None:
    witness = await clients.join(room)
    closing = await clients.join(room, "closing")
    await receive(witness)
    await closing.close(4321, "bye")
    assert await receive(witness) == {"type": "system", "message": f"closing left #{room}"}

    lost = await clients.join(room, "lost")
    await receive(witness)
    lost.transport.abort()
    assert await receive(witness) == {"type": "system", "message": f"lost left #{room}"}

    await witness.send("after")
    assert (await receive(witness))["text"] == "after"


async def test_a_member_that_reads_nothing_delays_nobody_and_is_put_out(
    server: LiveServer, clients: Clients, room: str
) -> None:
    batches, batch = 52, 50  # of 4 KB: more than the kernel and the outbox hold for who does not read
    readers = [await clients.join(room, "reader") for _ in range(4)]
    stalled = await asyncio.to_thread(stalled_member, server.port, room)
    try:
        seen: list[list[Any]] = [[] for _ in readers]
        for _ in range(batches):
            for _ in range(batch):
                await readers[0].send("x" * 4000)
            await asyncio.gather(*map(read_messages, readers, seen, [batch] * len(readers)))
    finally:
        stalled.close()
    for events in seen:
        offsets = [event["offset"] for event in events if event["type"] == "message"]
        assert offsets == list(range(1, batches * batch + 1))
        left = [event["message"] for event in events if event.get("message", "").startswith("stalled left")]
        assert left == [f"stalled left #{room}"]


async def read_messages(client: ClientConnection, seen: list[Any], count: int) -> None:
    """Read until `count` more messages have come, notices not counted, and note all that came."""
    while count:
        seen.append(await receive(client))
        count -= seen[-1]["type"] == "message"


def stalled_member(port: int, room: str) -> socket.socket:
    """Join with a socket that has a small buffer, and read nothing after the handshake."""
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.connect(("127.0.0.1", port))
    stalled.sendall(
        f"GET /ws/chat?room={room}&name=stalled HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert stalled.recv(12) == b"HTTP/1.1 101"
    return stalled


async def test_the_page_is_welcomed_with_who_is_here(clients: Clients, room: str) -> None:
    await clients.join(room, "Bob")
    page = await clients.join(room, "Ada", subprotocols=[PAGE])
    assert page.subprotocol == PAGE
    welcome = await receive(page)
    assert welcome["type"] == "welcome"
    assert welcome["room"] == room
    assert welcome["count"] == 2
    assert [member["name"] for member in welcome["members"]] == ["Bob", "Ada"]
    assert welcome["id"] == welcome["members"][1]["id"]
    assert {"name": room, "count": 2} in welcome["rooms"]
    assert welcome["position"]["offset"] == 0


async def test_the_page_is_told_who_comes_and_goes(clients: Clients, room: str) -> None:
    page = await clients.join(room, subprotocols=[PAGE])
    await receive(page)
    bob = await clients.join(room, "Bob")
    joined = await receive(page)
    assert (joined["message"], joined["event"], joined["name"]) == (f"Bob joined #{room}", "join", "Bob")
    await bob.close()
    left = await receive(page)
    assert (left["message"], left["event"], left["id"]) == (f"Bob left #{room}", "leave", joined["id"])


async def test_a_page_that_comes_back_gets_what_it_missed_once_and_in_order(clients: Clients, room: str) -> None:
    talker = await clients.join(room)
    page = await clients.join(room, subprotocols=[PAGE])
    welcome = await receive(page)
    assert "recovered" not in welcome
    await talker.send("seen")
    assert (await receive(page))["offset"] == 1
    await page.close()
    await read_messages(talker, [], 1)
    for text in ("missed one", "missed two"):
        await talker.send(text)
    await read_messages(talker, [], 2)
    since = f"1.{welcome['position']['epoch']}"
    page = await clients.connect(f"/ws/chat?room={room}&since={since}", subprotocols=[PAGE])
    await talker.send("new")
    events = [await receive(page) for _ in range(4)]
    assert (events[0]["type"], events[0]["recovered"]) == ("welcome", True)
    assert [(event["text"], event["offset"]) for event in events[1:]] == [
        ("missed one", 2),
        ("missed two", 3),
        ("new", 4),
    ]


async def test_a_page_from_another_epoch_is_told_that_something_may_be_missing(
    clients: Clients, room: str
) -> None:
    talker = await clients.join(room)
    await talker.send("kept")
    await read_messages(talker, [], 1)
    page = await clients.connect(f"/ws/chat?room={room}&since=7.gone", subprotocols=[PAGE])
    assert (await receive(page))["recovered"] is False
    assert (await receive(page))["text"] == "kept"


async def test_the_page_may_ask_for_the_rooms(clients: Clients, room: str) -> None:
    page = await clients.join(room, subprotocols=[PAGE])
    await receive(page)
    await page.send('{"type":"rooms"}')
    answer = await receive(page)
    assert answer["type"] == "rooms"
    assert {"name": room, "count": 1} in answer["rooms"]


async def test_to_a_plain_client_the_same_question_is_a_message(clients: Clients, room: str) -> None:
    client = await clients.join(room)
    await client.send('{"type":"rooms"}')
    assert (await receive(client))["text"] == '{"type":"rooms"}'


async def test_a_message_that_the_page_sends_twice_under_one_key_counts_once(clients: Clients, room: str) -> None:
    page = await clients.join(room, subprotocols=[PAGE])
    await receive(page)
    for _ in range(2):
        await page.send('{"text":"once","key":"a-1"}')
    await page.send("after")
    first, second = await receive(page), await receive(page)
    assert (first["text"], first["key"], first["offset"]) == ("once", "a-1", 1)
    assert (second["text"], second["offset"]) == ("after", 2)


async def test_to_a_plain_client_a_key_is_nothing_special(clients: Clients, room: str) -> None:
    client = await clients.join(room)
    for text in ("one", "two"):
        await client.send(json.dumps({"text": text, "key": "1"}))
    messages = [await receive(client), await receive(client)]
    assert [message["text"] for message in messages] == ["one", "two"]
    assert "key" not in messages[0]


async def test_messages_tell_their_authors_apart_though_they_have_no_name(clients: Clients, room: str) -> None:
    first, second = await clients.join(room), await clients.join(room)
    await receive(first)
    await first.send("from the first")
    await second.send("from the second")
    messages = [await receive(first), await receive(first)]
    assert messages[0]["id"] != messages[1]["id"]


async def test_of_a_room_that_is_named_twice_the_first_counts(clients: Clients) -> None:
    client = await clients.connect("/ws/chat?room=one&room=two")
    await client.send("hi")
    assert (await receive(client))["room"] == "one"


async def test_the_echo_answers_text_with_echo_and_bytes_as_they_are(clients: Clients) -> None:
    client = await clients.connect("/ws/echo")
    exchanges: list[tuple[str | bytes, str | bytes]] = [
        ("hi", "Echo: hi"),
        ("", "Echo: "),
        (b"\x00\xff", b"\x00\xff"),
        (b"", b""),
    ]
    for sent, expected in exchanges:
        await client.send(sent)
        assert await receive_raw(client) == expected


async def test_the_binary_echo_answers_text_with_its_utf8(clients: Clients) -> None:
    client = await clients.connect("/ws/binary")
    exchanges: list[tuple[str | bytes, bytes]] = [
        ("hé", "hé".encode()),
        ("", b""),
        (b"\x00\xff", b"\x00\xff"),
        (b"", b""),
    ]
    for sent, expected in exchanges:
        await client.send(sent)
        assert await receive_raw(client) == expected


async def test_a_room_vanishes_with_its_last_member(clients: Clients, room: str) -> None:
    page = await clients.join(room, subprotocols=[PAGE])
    await receive(page)
    other = await clients.join(room + "-other")
    await other.close()
    await page.send('{"type":"rooms"}')
    assert room + "-other" not in [entry["name"] for entry in (await receive(page))["rooms"]]
