"""Each attack, for a second, on a chat in which others talk: they notice nothing, and the memory stays bounded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.attackers import ATTACKS, Target, attacked
from benchmarks.honest import Room, percentile
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 1.0
ATTACKERS = 5
MEMBERS = 10
LONGEST = 2.0
"""Seconds that nearly all messages of the honest may take, on a machine on which other tests run."""
MEMORY = 48 * 1024 * 1024
"""Bytes that the server may grow by."""

EXPECTED = {
    "long-heads": "431",
    "handshakes": "101",
    "joins-and-leaves": "101",
    "messages": "4029",
    "large-messages": "4029",
    "huge-messages": "1009",
    "empty-messages": "4029",
    "pings": "1008",
    "empty-fragments": "1008",
    "tiny-fragments": "1008",
    "small-fragments": "4029",
    "bombs": "1009",
    "small-bombs": "4029",
    "broken-frames": "1002",
}
"""What comes of an attempt, if the address may make it at all, and reads the answer before it is cut off."""


@dataclass
class Chat:
    """A server, and how much memory it had at first."""

    program: Program
    port: int
    memory: int


@pytest.fixture(scope="module")
def chat() -> Iterator[Chat]:
    options = ("--port", "0", "--broker", "memory://", "--log-level", "critical")
    with Program.roomcast("serve", *options) as program:
        port = int(program.wait_for_line(r" on http://127.0.0.1:(\d+)")[1])
        yield Chat(program, port, resident(program.pid))


def resident(pid: int) -> int:
    """Give the most memory that a process had, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the server has gone")


@pytest.mark.parametrize(("number", "name"), list(enumerate(ATTACKS)))
async def test_others_notice_nothing_of_an_attack(chat: Chat, number: int, name: str) -> None:
    honest = Target(chat.port, source=f"127.0.1.{number + 1}", path=f"/ws/chat?room={name}")
    room = Room(honest, MEMBERS, openings_per_second=200)
    target = Target(chat.port, source=f"127.0.2.{number + 1}", path=f"/ws/chat?room={name}&name=Mallory")
    async with asyncio.timeout(30):
        await room.open()
        attacking = asyncio.ensure_future(attacked(target, ATTACKS[name], ATTACKERS, SECONDS))
        await room.talk(SECONDS, 20)
        await attacking
        await room.talk(0.2, 20)
    room.close()
    assert len(room.delays) >= (SECONDS * 20 - 2) * MEMBERS
    assert percentile(room.delays, 0.95) < LONGEST
    assert resident(chat.program.pid) - chat.memory < MEMORY
    if name in EXPECTED:
        assert set(target.outcomes) <= {EXPECTED[name], "414", "429", "cut"}
        assert target.outcomes[EXPECTED[name]]
    if name in {"handshakes", "joins-and-leaves"}:
        assert target.outcomes["101"] < 20 * 4 + 20 * SECONDS + 20
        assert target.outcomes["429"] > 0
