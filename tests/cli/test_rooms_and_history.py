"""`roomcast rooms`, `roomcast history` and `roomcast publish --json`, on files of rooms."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from websockets.sync.client import connect

from roomcast import Rooms
from tests.cli.piped import complaint, roomcast
from tests.programs import Program

if TYPE_CHECKING:
    from pathlib import Path


def fill(path: Path, room: str, *texts: str | bytes) -> None:
    async def publish() -> None:
        async with Rooms(f"sqlite:///{path}") as rooms:
            for text in texts:
                await rooms.publish(room, text)

    asyncio.run(publish())


def read(*arguments: str | Path, **env: str) -> list[dict[str, object]]:
    done = roomcast(*arguments, "--json", **env)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_is_published_is_in_the_history_the_newest_last(tmp_path: Path) -> None:
    broker = ["--broker", f"sqlite:///{tmp_path}/rooms.db"]
    (first,) = read("publish", "general", "one", *broker)
    fill(tmp_path / "rooms.db", "general", "two", b"\xff", "three")
    told = read("history", "general", *broker)
    assert [one.get("text", one.get("base64")) for one in told] == ["one", "two", "/w==", "three"]
    assert told[0]["position"] == first["position"]
    assert [one.get("text") for one in read("history", "general", "--limit", "1", *broker)] == ["three"]
    since = ["--since", str(told[0]["position"])]
    assert [one.get("text") for one in read("history", "general", *since, "--limit", "1", *broker)] == ["two"]
    assert read("history", "nobody", *broker) == []
    done = roomcast("history", "nobody", *broker)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nothing is kept of nobody\n")
    done = roomcast("history", "general", *broker)
    assert [line.split()[2:] for line in done.stdout.splitlines()] == [
        ["1", "one"], ["2", "two"], ["3", "1", "bytes", "ff"], ["4", "three"],
    ]  # fmt: skip


def test_rooms_of_a_file_are_listed_with_what_is_kept(tmp_path: Path) -> None:
    fill(tmp_path / "rooms.db", "a", "x")
    fill(tmp_path / "rooms.db", "b\N{SNOWMAN}", "x", "y")
    broker = ["--broker", f"sqlite:///{tmp_path}/rooms.db"]
    assert [(one["room"], one["kept"]) for one in read("rooms", *broker)] == [("b\N{SNOWMAN}", 2), ("a", 1)]
    done = roomcast("rooms", *broker)
    assert done.stdout.splitlines()[0].split() == ["room", "kept", "last", "published"]
    assert done.stdout.splitlines()[1].startswith("b\N{SNOWMAN}")
    assert done.stderr == "who is in them, only the server knows that has the file\n"


def test_the_chats_own_history_can_be_read_while_it_runs(tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path)}
    with Program.roomcast("serve", "--port", "0", env=env) as program:
        url = program.wait_for_line(r" on (http://\S+) \(")[1]
        with connect(f"{url.replace('http', 'ws')}/ws/chat?room=general&name=Ada") as client:
            client.send("hello")
            assert "hello" in str(client.recv(timeout=10))
        done = roomcast("history", "general", **env)
        assert done.stdout.rstrip().endswith("1 Ada: hello")
        assert [one["room"] for one in read("rooms", **env)] == ["general"]
        assert program.terminate() == 0
    assert roomcast("history", "general", **env).stdout == done.stdout


def test_reading_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rooms.db"
    fill(path, "a", "x")
    before = path.read_bytes()
    read("history", "a", ROOMCAST_BROKER=f"sqlite:///{path}")
    read("rooms", ROOMCAST_BROKER=f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rooms.db"
    url = f"sqlite:///{path}"
    for command in (["rooms"], ["history", "a"]):
        missing = complaint(*command, "--broker", url, status=3)
        assert missing == f"there is no file {path}: nothing was published there yet"
        assert not path.exists()
        assert complaint(*command, status=3).startswith("there is no file ")
        assert "memory:// is the memory of one process" in complaint(*command, "--broker", "memory://", status=2)
        assert "the broker URL has scheme 'nosuch'" in complaint(*command, "--broker", "nosuch://", status=2)
    path.write_text("not a database, but something of value")
    assert "is damaged, or no SQLite database" in complaint("rooms", "--broker", url, status=2)
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE x (y)")
    assert "is no file of rooms" in complaint("rooms", "--broker", url, status=2)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["a", "--since", "x"], "--since: a position is OFFSET.EPOCH, such as 12.5eb1a6fd, and not 'x'"),
        (["a", "--limit", "0"], "--limit: '0' is no limit: it is a whole number from 1 up"),
        ([""], "a room's name has 1 to 255 characters, and this one 0"),
    ],
    ids=["since", "limit", "room"],
)
def test_what_cannot_be_asked_for_is_refused(arguments: list[str], problem: str) -> None:
    assert complaint("history", *arguments, status=2) == problem
