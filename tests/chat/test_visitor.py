"""The chat where tokens are wanted: who comes in, what each may do there, and a fresh token in time."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from roomcast.auth import Auth, Identity, SecretKey, TokenAuthenticator
from roomcast.chat import create_app, visitor
from roomcast.chat.wire import MAX_TOKEN_FRAME, fresh_token
from roomcast.testing import TestConnection, connect, lifespan
from tests.auth.signing import EVERYWHERE, SECRET, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp

PAGE = "roomcast.chat.v1"


@pytest.fixture
async def app() -> AsyncIterator[ASGIApp]:
    app = create_app("memory://", auth=Auth(TokenAuthenticator(SecretKey(SECRET))))
    async with lifespan(app):
        yield app


def come(app: ASGIApp, given: str, *, room: str = "general", page: bool = False, more: str = "") -> TestConnection:
    """Come to a room with a token, as the page or as a plain client."""
    offered = [PAGE] if page else []
    headers = [("authorization", f"Bearer {given}")]
    return connect(app, f"/ws/chat?room={room}{more}", headers=headers, subprotocols=offered)


async def refused(app: ASGIApp, path: str, *headers: tuple[str, str]) -> tuple[int | None, int]:
    client = await connect(app, path, headers=headers).open()
    await client.finished()
    return client.denial_status, json.loads(client.denial_body)["code"]


async def test_without_a_token_nobody_comes_in(app: ASGIApp) -> None:
    for path in ("/ws/chat", "/ws/echo", "/ws/binary"):
        assert await refused(app, path) == (401, 4001)
        assert await refused(app, path, ("authorization", f"Bearer {token(exp=1)}")) == (401, 4001)
    async with connect(app, f"/ws/echo?token={token(rooms={})}") as client:
        await client.send("hi")
        assert await client.receive() == "Echo: hi"


async def test_a_room_that_is_not_ones_own_is_closed(app: ASGIApp) -> None:
    bearer = ("authorization", f"Bearer {token(rooms={'team-*': ['join']})}")
    assert await refused(app, "/ws/chat?room=general", bearer) == (403, 4003)
    assert await refused(app, "/ws/nothing", bearer) == (404, 4004)
    page = await connect(app, "/ws/chat", headers=[bearer, ("origin", "http://testserver")]).open()
    assert await page.closed() == 4003


async def test_who_is_known_goes_by_the_name_of_the_token(app: ASGIApp) -> None:
    async with (
        come(app, token("u1", name="Ada"), more="&name=Bob") as ada,
        come(app, token("u2"), more="&name=Ada") as other,
        come(app, token("u3", name="x" * 200)) as long,
    ):
        assert (await ada.receive_json())["message"] == "u2 joined #general"
        await ada.receive_json()
        await ada.send("hi")
        for client in (ada, other):
            frames = [await client.receive_json()]
            while frames[-1]["type"] != "message":
                frames.append(await client.receive_json())
            assert frames[-1]["from"] == "Ada"
        await long.send("hi")
        assert len((await ada.receive_json())["from"]) == 64


async def test_the_page_is_told_how_it_stands(app: ASGIApp) -> None:
    end = int(time.time()) + 60
    rooms = {"general": ["join", "presence"]}
    async with come(app, token("ada", name="Ada", exp=end, rooms=rooms), page=True) as page:
        welcome = await page.receive_json()
        assert (welcome["may"], welcome["name"], welcome["expires"]) == (["join", "presence"], "Ada", end)


async def test_where_everybody_is_let_in_nothing_is_told_of_that() -> None:
    app = create_app("memory://")
    async with lifespan(app), connect(app, "/ws/chat", subprotocols=[PAGE]) as page:
        assert not {"may", "name", "expires"} & set(await page.receive_json())


# What a token does not allow


@pytest.mark.parametrize("page", [False, True], ids=["plain", "page"])
async def test_who_may_not_publish_is_told_so_and_nobody_hears_it(app: ASGIApp, page: bool) -> None:
    reader = token("bob", rooms={"*": ["join"]})
    async with come(app, token("ada")) as ada, come(app, reader, page=page) as bob:
        await ada.receive_json()
        if page:
            assert (await bob.receive_json())["type"] == "welcome"
        await bob.send('{"text":"hello","key":"k-1"}')
        error = await bob.receive_json()
        assert (error["type"], error["code"]) == ("error", 4003)
        assert "read in this room, but not write" in error["message"]
        assert error.get("key") == ("k-1" if page else None)
        await ada.send("after")
        assert (await ada.receive_json())["text"] == "after"
        assert (await bob.receive_json())["text"] == "after"


@pytest.mark.parametrize("page", [False, True], ids=["plain", "page"])
async def test_who_may_not_see_who_is_here_is_told_of_nobody(app: ASGIApp, page: bool) -> None:
    listener = token("bob", rooms={"*": ["join", "publish"], "other": ["presence"]})
    async with (
        come(app, token("ada")) as ada,
        come(app, token("ada"), room="other"),
        come(app, listener, page=page) as bob,
    ):
        assert (await ada.receive_json())["message"] == "bob joined #general"
        if page:
            welcome = await bob.receive_json()
            assert [member["name"] for member in welcome["members"]] == ["bob"]
            assert welcome["count"] == 1
            assert welcome["rooms"] == [{"name": "other", "count": 1}]
            await bob.send('{"type":"rooms"}')
            assert (await bob.receive_json())["rooms"] == [{"name": "other", "count": 1}]
        async with come(app, token("eve")):
            assert (await ada.receive_json())["message"] == "eve joined #general"
        assert (await ada.receive_json())["message"] == "eve left #general"
        await ada.send("hi")
        assert (await bob.receive_json())["text"] == "hi"


async def test_who_may_not_see_the_history_is_given_none(app: ASGIApp) -> None:
    newcomer = token("bob", rooms={"*": ["join", "presence"]})
    async with come(app, token("ada")) as ada:
        await ada.send("before")
        await ada.receive_json()
        async with come(app, newcomer, page=True, more="&since=0.none") as page:
            welcome = await page.receive_json()
            assert welcome["recovered"] is False
            assert "history" not in welcome["may"]
            async with come(app, newcomer, more="&since=0.none") as plain:
                error = await plain.receive_json()
                assert (error["type"], error["code"]) == ("error", 4003)
                assert "before" in error["message"]
                await ada.send("now")
                assert (await plain.receive_json())["text"] == "now"
            frames = [await page.receive_json() for _ in range(2)]
            assert [frame.get("text") for frame in frames] == [None, "now"]


# A fresh token


@pytest.mark.parametrize("page", [False, True], ids=["plain", "page"])
async def test_a_fresh_token_is_taken_and_answered_and_never_said_to_the_room(app: ASGIApp, page: bool) -> None:
    fresh_end = int(time.time()) + 7200
    async with come(app, token("ada")) as witness, come(app, token("bob"), page=page) as bob:
        await witness.receive_json()
        if page:
            await bob.receive_json()
        fresh = token("bob", exp=fresh_end, rooms={"*": ["join"]})
        await bob.send_json({"type": "token", "token": fresh})
        assert await bob.receive_json() == {"type": "token", "expires": fresh_end}
        await bob.send("hi")
        assert (await bob.receive_json())["code"] == 4003
        for bad in (token("bob", exp=1), "x", "", 7, None):
            await bob.send_json({"type": "token", "token": bad})
            answer = await bob.receive_json()
            assert (answer["type"], answer["code"]) == ("error", 4001)
        await bob.send_json({"type": "token", "token": token("eve")})
        assert (await bob.receive_json())["code"] == 4003
        await witness.send("still here")
        assert (await witness.receive_json())["text"] == "still here"


async def test_a_fresh_token_that_is_for_other_rooms_ends_the_stay(app: ASGIApp) -> None:
    async with come(app, token("ada")) as ada:
        await ada.send_json({"type": "token", "token": token("ada", rooms={"team-*": ["join"]})})
        assert await ada.closed() == 4003


async def test_at_its_end_the_connection_is_closed_with_4001(app: ASGIApp) -> None:
    end = int(time.time()) + 2
    async with come(app, token("ada", exp=end)) as ada, come(app, token("bob", exp=end)) as bob:
        await ada.receive_json()
        await bob.send_json({"type": "token", "token": token("bob")})
        assert (await bob.receive_json())["type"] == "token"
        assert await ada.closed() == 4001
        assert "fresh" in ada.close_reason
        assert time.time() >= end
        assert (await bob.receive_json())["message"] == "ada left #general"
        await bob.send("still here")
        assert (await bob.receive_json())["text"] == "still here"


async def test_where_no_tokens_are_wanted_a_plain_client_may_say_anything() -> None:
    app = create_app("memory://")
    async with lifespan(app), connect(app, "/ws/chat") as client:
        text = '{"type":"token","token":"x"}'
        await client.send(text)
        assert (await client.receive_json())["text"] == text
        async with connect(app, "/ws/chat", subprotocols=[PAGE]) as page:
            await page.receive_json()
            await page.send(text)
            assert await page.receive_json() == {"type": "token", "expires": None}


@pytest.mark.parametrize(
    ("frame", "token"),
    [
        ('{"type":"token","token":"a.b.c"}', "a.b.c"),
        (' { "token" : "x", "type" : "token", "more" : 1 } ', "x"),
        ('{"type":"token","token":7}', ""),
        ('{"type":"token"}', None),
        ('{"token":"x"}', None),
        ('["token"]', None),
        ('"token"', None),
        ("token", None),
        ('{"type":"token","token":"x"', None),
        ('{"type":"token","token":"' + "x" * MAX_TOKEN_FRAME + '"}', None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_frame_that_brings_a_token_is_known(frame: str, token: str | None) -> None:
    assert fresh_token(frame) == token


# An app's own rules


async def test_who_asks_for_the_rooms_again_and_again_has_the_apps_rule_asked_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("roomcast.chat.visitor.SEEN_SECONDS", 0.2)
    asked: Counter[str] = Counter()
    public = {"general"}

    def who(_: HTTPConnection) -> Identity:
        return Identity("ada")

    async def allow(_: Identity, action: str, room: str) -> bool:
        asked[action] += 1
        return action != "presence" or room in public

    app = create_app("memory://", auth=Auth(who, allow))
    async with (
        lifespan(app),
        connect(app, "/ws/chat?room=other"),
        connect(app, "/ws/chat", subprotocols=[PAGE]) as ada,
    ):
        await ada.receive_json()
        before = asked["presence"]
        for _ in range(20):
            await ada.send('{"type":"rooms"}')
            assert [room["name"] for room in (await ada.receive_json())["rooms"]] == ["general"]
        assert asked["presence"] - before <= 2 * 2, "two rooms, and a second may have ended meanwhile"
        public.add("other")
        async with asyncio.timeout(5):
            rooms: list[Any] = []
            while len(rooms) < 2:
                await ada.send('{"type":"rooms"}')
                rooms = (await ada.receive_json())["rooms"]


async def test_a_chat_with_rules_of_its_own_asks_them_each_time_and_survives_their_failures() -> None:
    mood: dict[str, Any] = {"publish": True, "presence": True}

    def who(connection: HTTPConnection) -> Identity:
        return Identity(connection.cookies["session"], rooms=EVERYWHERE)

    async def allow(_: Identity, action: str, __: str) -> bool:
        answer = mood.get(action, True)
        if answer is None:
            raise ValueError
        return bool(answer)

    app = create_app("memory://", auth=Auth(who, allow))
    cookie = ("cookie", "session=ada")
    async with lifespan(app), connect(app, "/ws/chat", headers=[cookie], subprotocols=[PAGE]) as ada:
        await ada.receive_json()
        await ada.send('{"text":"one","key":"1"}')
        assert (await ada.receive_json())["text"] == "one"
        mood["publish"] = False
        await ada.send('{"text":"two","key":"2"}')
        assert (await ada.receive_json())["code"] == 4003
        mood["publish"] = None
        await ada.send('{"text":"three","key":"3"}')
        error = await ada.receive_json()
        assert (error["key"], "code" in error) == ("3", False)
        mood["presence"] = None
        await asyncio.sleep(visitor.SEEN_SECONDS + 0.1)  # what was seen is known for so long: there is no event
        await ada.send('{"type":"rooms"}')
        assert (await ada.receive_json())["rooms"] == []
        assert await refused(app, "/ws/chat", cookie) == (503, 1013)
        mood["publish"], mood["presence"] = True, True
        await ada.send('{"text":"four","key":"4"}')
        assert (await ada.receive_json())["text"] == "four"
