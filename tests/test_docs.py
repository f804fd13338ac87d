"""The examples of docs/rooms.md, one program in pieces, and of docs/security.md: they do what the text says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from roomcast.testing import connect, lifespan
from tests.auth.signing import SECRET, token
from tests.rooms.guests import until

DOCUMENT = Path(__file__).parents[1] / "docs" / "rooms.md"
SECURITY = DOCUMENT.with_name("security.md")


@pytest.fixture
def program() -> dict[str, Any]:
    pieces = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    for piece in pieces:
        exec(compile(piece, str(DOCUMENT), "exec"), names)
    return names


async def test_the_rooms_of_the_document_do_what_it_says(
    program: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    app = program["app"]
    transport = httpx.ASGITransport(app)
    async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        async with connect(app, "/ws/a?name=Ada") as ada, connect(app, "/ws/a?name=Bob") as bob:
            await ada.send("hi")
            assert await bob.receive() == "hi"
            position = (await http.post("/rooms/a?text=news")).json()
            assert await ada.receive_json() == await bob.receive_json() == {"announcement": "news"}
            assert (await http.post("/threads/a?text=more")).json() > position
            assert await ada.receive() == await bob.receive() == "more"
            assert (await http.get("/rooms/a")).json() == {
                "count": 2,
                "members": [{"name": "Ada"}, {"name": "Bob"}],
            }
            assert (await http.get("/rooms/a/history")).json() == ["more", '{"announcement":"news"}', "hi"]
            async with connect(app, f"/resume/a?since={position}") as late:
                assert await late.receive() == "more"
                assert json.loads(await late.receive())["recovered"] is True
            async with connect(app, "/prices/X") as broker:
                broker.stall()
                for price in range(5):
                    await http.post(f"/rooms/prices of X?text={price}")
                broker.resume()
                prices = [(await broker.receive_json())["announcement"]]
                while prices[-1] != "4":
                    prices.append((await broker.receive_json())["announcement"])
                assert prices in (["4"], ["0", "4"]), "the first may have been on its way"
            await http.post("/users/Ada/notices?text=psst")
            assert await ada.receive_json() == {"notice": "psst"}
            assert await bob.receives_nothing()
            await http.delete("/users/Ada")
            assert await ada.closed() == 4003
            await http.delete("/rooms/a")
            assert await bob.closed() == 4006
        said = ""

        def told() -> bool:
            nonlocal said
            said += capsys.readouterr().out
            return "Bob has left a" in said

        await until(told)
        lines = [line for line in said.splitlines() if "None" not in line]
        assert int(lines.pop(2)) == 5 - len(prices), "of the prices, those that were dropped"
        assert lines == ["Ada is in a", "Bob is in a", "Ada has left a", "Bob has left a"]


async def test_one_who_is_called_back_enters_and_leaves(program: dict[str, Any]) -> None:
    app = program["app"]
    app.websocket("/called-back")(program["called_back"])
    async with lifespan(app), connect(app, "/called-back") as client:
        assert client.accepted
        await until(lambda: not program["rooms"]._connections)


async def test_the_app_of_the_document_on_security_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_TOKEN_SECRET", SECRET)
    section = SECURITY.read_text(encoding="utf-8").partition("### In an app")[2]
    program = re.search(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert program is not None
    names: dict[str, Any] = {}
    exec(compile(program[1], str(SECURITY), "exec"), names)
    app = names["app"]
    async with lifespan(app), connect(app, f"/ws/team-1?token={token('ada')}") as ada:
        await ada.send("hi")
        assert await ada.receive() == "hi"
