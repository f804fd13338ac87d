"""The WebSocket of the operator's page: who is let in, what is shown, and what is done."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from roomcast import BrokerUnavailable, ConfigurationError, Presence, Rooms
from roomcast.admin import admin_app, live, survey
from roomcast.admin.gate import MOST_FAILURES
from roomcast.testing import TestConnection, connect
from tests.rooms.guests import Guest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

VIEW = {"type": "view", "search": "", "offset": 0, "room": None, "member": "", "member_offset": 0}


@pytest.fixture
async def rooms() -> AsyncIterator[Rooms]:
    async with Rooms("memory://") as rooms:
        yield rooms


@pytest.fixture
def app(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> ASGIApp:
    monkeypatch.setattr(survey, "EVERY", 0.06)
    monkeypatch.setattr(live, "EVERY", 0.06)
    return admin_app(rooms, "token")


@asynccontextmanager
async def operator(app: ASGIApp, token: str = "token") -> AsyncIterator[TestConnection]:
    async with connect(app, "/live", subprotocols=["roomcast.admin.v1"]) as client:
        await client.send_json({"type": "token", "token": token})
        assert await client.receive_json() == {"type": "welcome"}
        yield client


async def state(client: TestConnection, holds: Any) -> Any:
    """Give the next state of which this holds."""
    async with asyncio.timeout(5):
        while True:
            message = await client.receive_json()
            if message["type"] == "state" and holds(message):
                return message


async def answer(client: TestConnection, **asked: Any) -> tuple[str, str]:
    """Ask for something, and give whether it was done, and the words."""
    await client.send_json({**asked, "id": 5})
    async with asyncio.timeout(5):
        while (message := await client.receive_json())["type"] not in {"done", "failed"}:
            pass
    assert message["id"] == 5
    return message["type"], message["message"]


async def fill(rooms: Rooms, room: str, count: int) -> None:
    """Have members in a room that only the broker knows of, as those of another node are."""
    for number in range(count):
        member = Presence.of(f"{room}-{number}", None, None)
        await rooms._broker.arrive(room, member.id, member.to_bytes())


# Who is let in


async def test_a_wrong_token_is_refused_and_too_many_are_refused_at_once(app: ASGIApp) -> None:
    for _ in range(MOST_FAILURES):
        async with connect(app, "/live") as client:
            await client.send_json({"type": "token", "token": "wrong"})
            assert await client.closed() == 4001
            assert client.close_reason == "the token is wrong"
    async with connect(app, "/live") as client:
        assert await client.closed() == 4029


@pytest.mark.parametrize("first", ["nonsense", "[]", b"token", json.dumps(VIEW)])
async def test_whatever_else_comes_first_is_refused(app: ASGIApp, first: str | bytes) -> None:
    async with connect(app, "/live") as client:
        await client.send(first)
        assert await client.closed() in {4000, 4001}


async def test_who_shows_no_token_is_closed(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TOKEN_SECONDS", 0.01)
    async with connect(app, "/live") as client:
        assert await client.closed() == 4000


async def test_no_more_pages_than_may_be_are_open_at_once(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_OPERATORS", 1)
    async with operator(app), connect(app, "/live") as client:
        await client.send_json({"type": "token", "token": "token"})
        assert await client.closed() == 1013
    async with operator(app):
        pass


async def test_a_token_is_needed(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROOMCAST_ADMIN_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match="ROOMCAST_ADMIN_TOKEN"):
        admin_app(rooms)
    monkeypatch.setenv("ROOMCAST_ADMIN_TOKEN", "of the environment")
    async with operator(admin_app(rooms), "of the environment"):
        pass


# What is shown


async def test_rooms_are_shown_by_size_and_found_by_name_and_page(app: ASGIApp, rooms: Rooms) -> None:
    for number in range(120):
        await fill(rooms, f"room {number:03}", 1)
    await fill(rooms, "Größe", 3)
    async with operator(app) as client:
        first = await state(client, lambda told: told["totals"]["members"] == 123)
        assert first["totals"]["rooms"] == 121
        assert first["largest"] == 3
        assert first["rooms"]["matching"] == 121
        assert first["rooms"]["page"][:2] == [["Größe", 3], ["room 000", 1]]
        assert len(first["rooms"]["page"]) == 50
        await client.send_json(VIEW | {"offset": 100})
        last = await state(client, lambda told: told["rooms"]["offset"] == 100)
        assert len(last["rooms"]["page"]) == 21
        await client.send_json(VIEW | {"search": "GRÖSSE"})
        found = await state(client, lambda told: told["rooms"]["search"])
        assert (found["rooms"]["matching"], found["rooms"]["page"]) == (1, [["Größe", 3]])


async def test_who_is_in_a_room_is_shown_while_it_changes(app: ASGIApp, rooms: Rooms) -> None:
    async with operator(app) as client:
        await client.send_json(VIEW | {"room": "r"})
        assert (await state(client, lambda told: told["room"]))["room"]["count"] == 0
        guest = await Guest(rooms, "r", user="ada", info={"name": "Ada"}).enter()
        told = await state(client, lambda told: told["room"]["page"])
        (member,) = told["room"]["page"]
        assert (member["id"], member["user"], member["info"]) == (guest.member.id, "ada", "Ada")
        await guest.leave()
        await state(client, lambda told: not told["room"]["page"] and not told["rooms"]["page"])


async def test_of_a_room_with_too_many_members_none_are_looked_up(
    app: ASGIApp, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "MOST_LISTED", 3)
    await fill(rooms, "r", 4)
    async with operator(app) as client:
        await client.send_json(VIEW | {"room": "r"})
        told = (await state(client, lambda told: told["room"]))["room"]
        assert (told["count"], told["matching"], told["page"]) == (4, None, [])


async def test_a_broker_that_cannot_be_reached_is_told_and_the_page_goes_on(
    app: ASGIApp, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> dict[str, int]:
        raise BrokerUnavailable("it has gone")

    async with operator(app) as client:
        with monkeypatch.context() as broken:
            broken.setattr(rooms, "active", fails)
            async with asyncio.timeout(5):
                while (message := await client.receive_json())["type"] != "trouble":
                    pass
            assert message["message"] == "it has gone"
            assert await answer(client, type="notice", room=None, text="hi") == ("failed", "it has gone")
        await state(client, lambda _told: True)


async def test_many_operators_ask_the_broker_no_more_often_than_one(
    app: ASGIApp, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "EVERY", 1000)
    asked = 0
    active = rooms.active

    async def counted() -> dict[str, int]:
        nonlocal asked
        asked += 1
        return await active()

    monkeypatch.setattr(rooms, "active", counted)
    async with operator(app) as one, operator(app) as other:
        for _ in range(3):
            await state(one, lambda _told: True)
            await state(other, lambda _told: True)
    assert asked == 1


# What is done


async def test_a_user_is_disconnected_and_the_log_says_so(
    app: ASGIApp, rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    ada, bob = await Guest(rooms, "r", user="ada").enter(), await Guest(rooms, "r", user="bob").enter()
    async with operator(app) as client:
        assert (await answer(client, type="disconnect", user="ada", reason="enough"))[0] == "done"
        assert (await ada.client.closed(), ada.client.close_reason) == (4005, "enough")
        assert not bob.member.closed
    assert "the operator at '127.0.0.1': Disconnect(user='ada', reason='enough')" in caplog.text
    await bob.leave()


async def test_a_member_of_no_user_is_disconnected_alone(app: ASGIApp, rooms: Rooms) -> None:
    one, other = await Guest(rooms, "r").enter(), await Guest(rooms, "r").enter()
    async with operator(app) as client:
        assert (await answer(client, type="remove", room="r", member=one.member.id, reason=""))[0] == "done"
        assert await one.client.closed() == 4005
        assert not other.member.closed
    await other.leave()


async def test_a_room_is_closed(app: ASGIApp, rooms: Rooms) -> None:
    guest = await Guest(rooms, "r").enter()
    async with operator(app) as client:
        assert (await answer(client, type="close", room="r", reason=""))[0] == "done"
        assert (await guest.client.closed(), guest.client.close_reason) == (4006, "the room was closed")
        await state(client, lambda told: told["totals"]["rooms"] == 0)


async def test_a_notice_reaches_a_room_or_all_and_is_not_kept(app: ASGIApp, rooms: Rooms) -> None:
    one, other = await Guest(rooms, "one").enter(), await Guest(rooms, "other").enter()
    async with operator(app) as client:
        await answer(client, type="notice", room="one", text="first")
        done = await answer(client, type="notice", room=None, text="second")
        assert done == ("done", "The notice is published in all rooms, 2 now.")
    heard = [json.loads(text) for text in await one.hears(2)]
    assert heard[0] == {"type": "notice", "text": "first", "from": "Operator"}
    assert [json.loads(text)["text"] for text in await other.hears(1)] == ["second"]
    assert await rooms.history("one") == []
    for guest in (one, other):
        await guest.leave()


async def test_a_notice_that_does_not_reach_all_rooms_says_how_many_it_did(
    app: ASGIApp, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "AT_A_TIME", 2)
    for room in "abcde":
        await fill(rooms, room, 1)
    publish = rooms.publish

    async def fails_late(room: str, data: Any, **settings: Any) -> Any:
        if room == "c":
            raise BrokerUnavailable("it has gone")
        return await publish(room, data, **settings)

    monkeypatch.setattr(rooms, "publish", fails_late)
    async with operator(app) as client:
        told = await answer(client, type="notice", room=None, text="hi")
    assert told == ("failed", "it has gone; of 5 rooms 2 have it, and some of the next 2")


async def test_an_app_may_write_notices_its_own_way(rooms: Rooms) -> None:
    guest = await Guest(rooms, "r").enter()
    async with operator(admin_app(rooms, "token", notice=lambda text: f"!{text}")) as client:
        await answer(client, type="notice", room="r", text="hi")
        assert await guest.hears(1) == ["!hi"]
    await guest.leave()


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "close", "room": "", "reason": ""},
        {"type": "close", "room": "r\n", "reason": ""},
        {"type": "disconnect", "user": "", "reason": ""},
        {"type": "nothing"},
    ],
)
async def test_what_cannot_be_done_is_told_and_the_page_goes_on(app: ASGIApp, asked: dict[str, Any]) -> None:
    async with operator(app) as client:
        await client.send_json(asked)
        async with asyncio.timeout(5):
            while (await client.receive_json())["type"] != "failed":
                pass
        await state(client, lambda _told: True)


# The page


async def test_the_page_is_served_with_all_that_it_needs_and_loads_nothing_from_elsewhere(app: ASGIApp) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        page = await http.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "https://" not in page.text
        for name in ("admin.js", "admin.css", "charts.js", "confirm.js", "lists.js", "live.js"):
            assert (await http.get(f"/{name}")).status_code == 200
        assert (await http.get("/app.py")).status_code == 404
