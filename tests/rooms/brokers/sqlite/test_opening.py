"""Which files can be opened, and by whom: every other one is refused with a clear word, and left as it is."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from roomcast import BrokerInUse, ConfigurationError
from roomcast.rooms.brokers.sqlite import SqliteBroker
from roomcast.rooms.brokers.sqlite.schema import VERSION
from roomcast.rooms.brokers.sqlite.url import Location
from tests.rooms.brokers.sqlite import publisher

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rooms.brokers.sqlite.conftest import Open


async def refused(path: Path, kind: type[ConfigurationError] = ConfigurationError) -> str:
    with pytest.raises(kind) as caught:
        await SqliteBroker(Location(path)).open(lambda *_: None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_file_belongs_to_one_broker_and_the_second_is_told_to_whom(opened: Open, path: Path) -> None:
    node = await opened(path)
    error = await refused(path, BrokerInUse)
    assert f"rooms.db belongs to process {os.getpid()} (" in error
    assert error.endswith("stop it, choose another file, or use a broker that several processes share")
    await node.broker.publish("r", b"still mine")
    await node.broker.close()
    await opened(path)


async def test_a_link_to_a_file_is_that_file(opened: Open, path: Path, tmp_path: Path) -> None:
    await opened(path)
    link = tmp_path / "link.db"
    link.symlink_to(path)
    assert "belongs to process" in await refused(link, BrokerInUse)


async def test_a_file_of_another_process_is_free_as_soon_as_that_has_ended_however(
    opened: Open, path: Path
) -> None:
    command = [sys.executable, publisher.__file__, str(path), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert f"belongs to process {process.pid} (publisher.py) since " in await refused(path, BrokerInUse)
        process.send_signal(signal.SIGKILL)
        process.wait()
        node = await opened(path)
    assert (await node.broker.history("a")).kept


@pytest.mark.parametrize("content", [b"not a database at all", b"\xff" * 8192], ids=["text", "bytes"])
async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    error = await refused(path)
    assert f"{path} is damaged, or no SQLite database" in error
    assert "move it away with rooms.db-wal and rooms.db-shm to begin with an empty one" in error
    assert path.read_bytes() == content


async def test_a_database_of_something_else_is_refused_and_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE invoices (id)")
    before = path.read_bytes()
    assert f"{path} is a database of something else, which is left as it is" in await refused(path)
    assert path.read_bytes() == before


async def test_a_damaged_file_is_refused(opened: Open, path: Path) -> None:
    node = await opened(path)
    for _ in range(50):
        await node.broker.publish("r", bytes(5000))
    await node.broker.close()
    with path.open("r+b") as written:
        written.seek(path.stat().st_size // 2 // 4096 * 4096)
        written.write(b"\xff" * 8192)
    assert f"{path} is damaged" in await refused(path)


async def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(opened: Open, path: Path) -> None:
    await (await opened(path)).broker.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    error = await refused(path)
    assert f"{path} is of version {VERSION + 1}, and this Roomcast reads up to {VERSION}: install a newer" in error


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    error = await refused(tmp_path / "missing" / "rooms.db")
    assert error == f"the folder {tmp_path / 'missing'} does not exist: make it, or choose another file"
    assert not (tmp_path / "missing").exists()


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "rooms.db").mkdir()
    assert "rooms.db cannot be opened for writing" in await refused(tmp_path / "rooms.db")


async def test_an_empty_file_becomes_one_of_rooms(opened: Open, path: Path) -> None:
    path.touch()
    node = await opened(path)
    assert (await node.broker.publish("r", b"")).offset == 1


async def test_a_refused_file_is_not_held(opened: Open, path: Path) -> None:
    path.write_bytes(b"not a database at all")
    await refused(path)
    path.unlink()
    await opened(path)
