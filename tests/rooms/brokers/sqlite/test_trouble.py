"""A file that cannot be written any more: what is published goes on live, and nobody is deceived about it."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from roomcast import BrokerUnavailable, NotKept, Position, Rooms
from roomcast.rooms.brokers.sqlite import SqliteBroker, file
from roomcast.rooms.brokers.sqlite.url import Location
from tests.rooms.guests import Guest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rooms.brokers.node import Node
    from tests.rooms.brokers.sqlite.conftest import Open

LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold SQLite's lock for writing in another process."""
    command = [sys.executable, "-c", LOCKER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no lock, and try a broken file again at once."""
    monkeypatch.setattr("roomcast.rooms.brokers.sqlite.schema.BUSY_SECONDS", 0.05)
    monkeypatch.setattr("roomcast.rooms.brokers.sqlite.file.BUSY_SECONDS", 0.05)
    monkeypatch.setattr(file, "REOPENING_INTERVAL", 0.0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mounted)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a disk, and not everywhere")
    yield mounted
    subprocess.run(["umount", mounted], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte free on the disk; gives the file whose removal makes space again."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as written:
        for size in (65536, 4096, 1):
            try:
                while True:
                    written.write(b"\0" * size)
            except OSError:
                continue
    return ballast


async def not_kept(node: Node, room: str, payload: bytes, why: str, key: str | None = None) -> None:
    """Publish, and see that it is carried and its publisher told."""
    with pytest.raises(NotKept, match=why):
        await node.broker.publish(room, payload, key=key)
    assert node.so_far() == [(room, None, payload)]


async def went_on_live(node: Node, before: Position, carried: bytes) -> None:
    """See that after trouble the room has a new epoch, in which its offsets count on."""
    position = await node.broker.publish("r", b"after")
    assert position.offset == before.offset + 1
    assert position.epoch != before.epoch
    assert node.so_far() == [("r", position, b"after")]
    history = await node.broker.history("r", since=before)
    assert history.kept == [(position, b"after")]
    assert not history.complete
    everything = [payload for _, payload in (await node.broker.history("r")).kept]
    assert everything == [b"before", b"after"]
    assert carried not in everything
    assert (await node.broker.history("r", since=position)).complete


async def test_on_a_full_disk_publications_are_carried_and_kept_again_once_there_is_space(
    small_disk: Path, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    node = await opened(small_disk / "rooms.db")
    await node.broker.subscribe("r")
    before = await node.broker.publish("r", b"before")
    node.so_far()
    ballast = fill(small_disk)
    for number in range(30):
        payload = b"%d" % number * 2000
        try:
            before = await node.broker.publish("r", payload)  # what SQLite has allocated may take one or two
        except NotKept:
            break
    else:
        pytest.fail("the disk was never full")
    assert node.so_far()[-1] == ("r", None, payload)
    assert isinstance(node.broker, SqliteBroker)
    assert node.broker.not_kept == 1
    await not_kept(node, "r", b"x" * 5000, r"there is no space for .*rooms\.db: make some on its disk")
    assert node.broker.not_kept == 2
    position = (await node.broker.history("r", limit=0)).position
    assert position.offset == before.offset
    assert position.epoch != before.epoch
    ballast.unlink()
    after = await node.broker.publish("r", b"after")
    assert after.offset == before.offset + 1
    assert not (await node.broker.history("r", since=before)).complete
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2, "one at the beginning, one at the end"
    assert "there is no space" in warnings[0]
    assert "is written again; 2 publications in all were not kept" in warnings[1]
    await node.broker.close()
    node = await opened(small_disk / "rooms.db")
    assert (await node.broker.history("r")).position == after


async def test_a_disk_that_is_full_at_the_start_is_one_clear_error(small_disk: Path) -> None:
    fill(small_disk)
    broker = SqliteBroker(Location(small_disk / "rooms.db"))
    with pytest.raises(BrokerUnavailable, match=r"rooms\.db"):
        await broker.open(lambda *_: None)


async def test_while_another_process_has_a_lock_publications_are_carried(node: Node, path: Path) -> None:
    await node.broker.subscribe("r")
    before = await node.broker.publish("r", b"before")
    node.so_far()
    with locked(path):
        await not_kept(node, "r", b"carried", r"rooms\.db is locked by another program")
        assert [payload for _, payload in (await node.broker.history("r")).kept] == [b"before"]
    await went_on_live(node, before, b"carried")


async def test_a_lock_at_the_start_is_one_clear_error(opened: Open, path: Path) -> None:
    await (await opened(path)).broker.close()
    broker = SqliteBroker(Location(path))
    with (
        locked(path),
        pytest.raises(BrokerUnavailable, match=r"rooms\.db is locked by another program.*: end that"),
    ):
        await broker.open(lambda *_: None)
    await broker.open(lambda *_: None)
    await broker.close()


def damage(path: Path) -> None:
    """Overwrite pages in the middle of a file that is in use."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    connection.close()
    size = path.stat().st_size
    with path.open("r+b") as written:
        written.seek(size // 4096 // 4 * 4096)
        written.write(b"\xff" * (size // 2))


async def test_in_a_file_that_was_damaged_nothing_is_kept_and_a_new_one_serves_again(
    opened: Open, path: Path
) -> None:
    node = await opened(path)
    await node.broker.subscribe("r")
    for _ in range(400):
        before = await node.broker.publish("r", bytes(10_000))  # more than SQLite has in its cache
    node.so_far()
    damage(path)
    with pytest.raises(BrokerUnavailable, match=r"the history cannot be read: .*damaged"):
        await node.broker.history("r")
    await not_kept(node, "r", b"carried", r"rooms\.db is damaged, or no SQLite database.*move it away with")
    await node.broker.publish("r", b"passing", keep=False)
    assert node.so_far() == [("r", None, b"passing")]
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)
    after = await node.broker.publish("r", b"after")
    assert not (await node.broker.history("r", since=before)).complete
    assert (await node.broker.history("r")).kept == [(after, b"after")]


async def test_a_file_that_is_removed_in_use_is_noticed_and_made_again(opened: Open, path: Path) -> None:
    node = await opened(path)
    await node.broker.subscribe("r")
    before = await node.broker.publish("r", b"before")
    node.so_far()
    path.unlink()
    await not_kept(node, "r", b"carried", r"rooms\.db was removed while it was in use")
    after = await node.broker.publish("r", b"after")
    assert after.epoch.partition("-")[0] != before.epoch
    assert not (await node.broker.history("r", since=before)).complete
    await node.broker.close()
    node = await opened(path)
    assert (await node.broker.history("r")).kept == [(after, b"after")]


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from roomcast import NotKept
from roomcast.rooms.brokers.sqlite import SqliteBroker
from roomcast.rooms.brokers.sqlite.url import Location

async def main():
    broker = SqliteBroker(Location(Path(sys.argv[1])))
    await broker.open(lambda room, position, payload: print("delivered", position, len(payload)))
    await broker.subscribe("r")
    print("kept", await broker.publish("r", b"x"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    try:
        await broker.publish("r", b"y" * 100)
    except NotKept as error:
        print("not kept", error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    while True:
        try:
            print("kept", await broker.publish("r", b"z"))
            break
        except NotKept:
            await asyncio.sleep(0.1)
    await broker.close()

asyncio.run(main())
"""


def test_where_files_may_not_grow_publications_are_carried_and_kept_again_later(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, path], capture_output=True, text=True, timeout=30, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[1].startswith("kept 1.")
    assert lines[2] == "delivered None 100"
    assert lines[3].startswith("not kept it was carried to the room's members, but is not in its history: ")
    assert lines[-1].startswith("kept 2.")
    assert lines[-1].removeprefix("kept 2.") != lines[1].removeprefix("kept 1.")


async def test_every_loss_renews_the_epoch(node: Node, path: Path) -> None:
    await node.broker.subscribe("r")
    await node.broker.publish("r", b"before")
    with locked(path):
        for _ in range(3):
            before = (await node.broker.history("r")).position
            assert (await node.broker.history("r", since=before)).complete
            with pytest.raises(NotKept):
                await node.broker.publish("r", b"carried")
            assert not (await node.broker.history("r", since=before)).complete


async def test_a_room_in_which_nothing_was_lost_keeps_its_epoch(node: Node, path: Path) -> None:
    other = await node.broker.publish("other", b"a")
    with locked(path), pytest.raises(NotKept):
        await node.broker.publish("r", b"carried")
    assert (await node.broker.publish("other", b"b")).epoch == other.epoch


async def test_the_new_epoch_is_in_the_file_once_that_can_be_written(opened: Open, path: Path) -> None:
    node = await opened(path)
    before = await node.broker.publish("r", b"before")
    with locked(path), pytest.raises(NotKept):
        await node.broker.publish("r", b"carried")
    told = (await node.broker.history("r")).position
    await node.broker.publish("another room", b"")
    assert epoch_in(path, "r") == told.epoch != before.epoch


async def test_closing_writes_the_new_epoch_too(opened: Open, path: Path) -> None:
    node = await opened(path)
    before = await node.broker.publish("r", b"before")
    with locked(path), pytest.raises(NotKept):
        await node.broker.publish("r", b"carried")
    await node.broker.close()
    node = await opened(path)
    assert (await node.broker.history("r")).position.epoch != before.epoch
    assert not (await node.broker.history("r", since=before)).complete


async def test_after_an_end_amid_trouble_every_room_has_a_new_epoch(opened: Open, path: Path) -> None:
    """The process that lost something could not write that, and was killed: but it has left its mark."""
    node = await opened(path)
    before = await node.broker.publish("r", b"before")
    with locked(path):
        with pytest.raises(NotKept):
            await node.broker.publish("r", b"carried")
        with pytest.raises(NotKept):
            await node.broker.publish("a room that is not in the file", b"carried")
        unknown = (await node.broker.history("a third one")).position
        await node.broker.close()  # it cannot write, as if it had been killed
    node = await opened(path)
    assert not (await node.broker.history("r", since=before)).complete
    assert not (await node.broker.history("a third one", since=unknown)).complete
    renewed = (await node.broker.history("r")).position
    await node.broker.close()
    node = await opened(path)
    assert (await node.broker.history("r")).position == renewed


async def test_what_is_sent_again_with_its_key_after_it_was_carried_counts_once(node: Node, path: Path) -> None:
    await node.broker.subscribe("r")
    first = await node.broker.publish("r", b"a", key="kept")
    node.so_far()
    with locked(path):
        await not_kept(node, "r", b"b", "locked", key="k")
        with pytest.raises(NotKept, match="before"):
            await node.broker.publish("r", b"b", key="k")
        assert await node.broker.publish("r", b"a", key="kept") == first
        passing = await node.broker.publish("r", b"c", key="passing", keep=False)
        assert await node.broker.publish("r", b"c", key="passing", keep=False) == passing
        assert node.so_far() == [("r", None, b"c")]
    with pytest.raises(NotKept, match="before"):
        await node.broker.publish("r", b"b", key="k")
    assert await node.broker.publish("r", b"c", key="passing", keep=False) == passing
    assert node.so_far() == []


async def test_in_more_rooms_than_can_be_remembered_nothing_is_published(
    node: Node, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "INTERRUPTED_ROOMS", 2)
    for room in "abc":
        await node.broker.subscribe(room)
    with locked(path):
        await not_kept(node, "a", b"", "locked")
        await not_kept(node, "b", b"", "locked")
        with pytest.raises(BrokerUnavailable, match=r"nothing was published: .*locked") as caught:
            await node.broker.publish("c", b"")
        assert not isinstance(caught.value, NotKept)
        assert node.so_far() == []
        await not_kept(node, "a", b"", "locked")


async def test_a_warning_comes_once_a_minute(
    node: Node, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def lose(count: int) -> list[str]:
        caplog.clear()
        for _ in range(count):
            with pytest.raises(NotKept):
                await node.broker.publish("r", b"")
        return [record.message for record in caplog.records]

    with locked(path):
        (first,) = await lose(5)
        assert "not kept (1 since this was last said): " in first
        assert await lose(5) == []
        monkeypatch.setattr(file, "WARNING_INTERVAL", 0.0)
        monkeypatch.setattr("roomcast.rooms.brokers.sqlite.file.time.monotonic", lambda: float("inf"))
        (next_one, *_) = await lose(1)
        assert "not kept (10 since this was last said): " in next_one


async def test_members_come_and_go_and_talk_while_the_history_cannot_be_read(tmp_path: Path, path: Path) -> None:
    async with Rooms(SqliteBroker(Location(path))) as rooms:
        before = await rooms.publish("r", "before")
        path.rename(tmp_path / "away.db")
        Path(f"{path}-wal").rename(tmp_path / "away.db-wal")
        path.write_bytes(b"no database" * 1000)
        with pytest.raises(NotKept):
            await rooms.publish("r", "carried")
        guest = await Guest(rooms, "r", since=before).enter()
        assert guest.member.recovered is False
        with pytest.raises(NotKept):
            await rooms.publish("r", "live")
        assert await guest.hears(1) == ["live"]
        assert await rooms.count("r") == 1
        await rooms.position("r")
        await guest.leave()


def epoch_in(path: Path, room: str) -> str:
    connection = sqlite3.connect(path)
    try:
        (epoch,) = connection.execute("SELECT epoch FROM rooms WHERE name = ?", (room,)).fetchone()
    finally:
        connection.close()
    return str(epoch)
