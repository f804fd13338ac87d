"""What was published is there after a restart, whatever ended the process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from roomcast import Position
from roomcast.rooms.brokers.sqlite import SqliteBroker
from roomcast.rooms.brokers.sqlite.url import Location
from tests.rooms.brokers.node import Node
from tests.rooms.brokers.sqlite import publisher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILLS = int(os.environ.get("KILLS", "12"))
"""How often the publishing process is killed; more for a search by night."""


class Told:
    """What the killed processes have printed: the history has to agree with all of it."""

    def __init__(self) -> None:
        self.acknowledged: dict[tuple[str, Position], str] = {}
        self.delivered: dict[tuple[str, Position], str] = {}

    def read(self, line: str) -> None:
        what, room, position, text = line.split()
        told = self.acknowledged if what == "acknowledged" else self.delivered
        place = room, Position.parse(position)
        assert place not in told, f"{place} was given to {told[place]} and again to {text}"
        told[place] = text


def run_until_killed(path: Path, run: int, kill_after: int) -> Iterator[str]:
    """Publish in another process, kill it once it has printed so many lines, and give all that it printed."""
    command = [sys.executable, publisher.__file__, str(path), str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            if number == kill_after:
                process.kill()
            if line.endswith("\n"):
                yield line
    assert process.returncode == -signal.SIGKILL


async def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged_and_no_offset_comes_twice(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rooms.db"
    told = Told()
    for run in range(KILLS):
        for line in run_until_killed(path, run, random.randrange(200)):
            told.read(line)
        node = Node(SqliteBroker(Location(path)))
        await node.open(publisher.EVERYTHING)
        kept: dict[tuple[str, Position], str] = {}
        for room in publisher.ROOMS:
            history = await node.broker.history(room)
            offsets = [position.offset for position, _ in history.kept]
            assert offsets == list(range(1, history.position.offset + 1))
            kept |= {(room, position): payload.decode() for position, payload in history.kept}
        assert told.acknowledged.items() <= kept.items()
        assert told.delivered.items() <= kept.items()
        assert len(set(kept.values())) == len(kept)
        for (room, position), text in list(told.acknowledged.items())[-5:]:
            if int(text.split("-")[2]) % 2:
                assert await node.broker.publish(room, text.encode(), key=text) == position
        await node.broker.close()
    assert len(told.acknowledged) > KILLS
