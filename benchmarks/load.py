"""The load: the C program that drives a server, and what it says. See c/load.c and c/room.c for what it does."""

from __future__ import annotations

import json
import struct
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import Failed, on_core

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True)
class Traffic:
    """Publications, and where they go.

    Attributes:
        in_flight: how many there are at any time, in all rooms together.
        first: the number of the first room.
        rooms: how many rooms, which get one publication each in turn.
        publishers: how many members of each room publish, in turn.
        beside_an_echo: whether a connection that is in no room has an echo in flight meanwhile.
        patience: after how many seconds without any delivery it ends: the room stands still.
    """

    in_flight: int
    first: int = 0
    rooms: int = 1
    publishers: int = 1
    beside_an_echo: bool = False
    patience: float = 5.0


class Load:
    """The load, connected to one server.

    Args:
        process: the program.
        directory: where to write what it is to read.
    """

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self._process = process
        self._directory = directory

    def open(self, count: int, seconds: float = 60.0) -> dict[str, float]:
        """Open connections: `count`, or as many as it can in the time."""
        return self._ask(f"open {count} {seconds}")

    def echo(self, seconds: float) -> dict[str, float]:
        """Have a message in flight on each connection for some time."""
        return self._ask(f"echo {seconds}")

    def use(self, request: bytes) -> None:
        """Open connections with another request from now on."""
        file = self._directory / "another"
        file.write_bytes(request)
        self._ask(f"request {file}")

    def rooms(self, count: int, members: int, seconds: float) -> int:
        """Open connections: `members` in each of `count` rooms, or of as many as it can in the time.

        Returns:
            How many rooms there are that have all their members.
        """
        return int(self._ask(f"rooms {count} {members} {seconds}")["rooms"])

    def deaf(self, room: int) -> None:
        """Open one more connection in a room, and read nothing from it."""
        self._ask(f"deaf {room}")

    def publish(self, traffic: Traffic, seconds: float, least: int = 0) -> dict[str, float]:
        """Have publications in flight for some time, and until there were so many."""
        verb = "watch" if traffic.beside_an_echo else "publish"
        rooms = f"{traffic.first} {traffic.rooms} {traffic.publishers}"
        return self._ask(f"{verb} {rooms} {traffic.in_flight} {seconds} {least} {traffic.patience}")

    def _ask(self, command: str) -> dict[str, float]:
        process = self._process
        assert process.stdin
        assert process.stdout
        answer = ""
        try:
            process.stdin.write(command + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            pass
        if not answer:
            assert process.stderr
            raise Failed(process.stderr.read().strip() or "the load ended")
        said: dict[str, float] = json.loads(answer)
        return said


@contextmanager
def loading(program: Path, port: int, core: int, request: bytes, frames: Iterable[bytes]) -> Iterator[Load]:
    """Run the load on one core until the block ends."""
    with tempfile.TemporaryDirectory() as directory:
        request_file = Path(directory, "request")
        request_file.write_bytes(request)
        frames_file = Path(directory, "frames")
        frames_file.write_bytes(b"".join(struct.pack("=I", len(frame)) + frame for frame in frames))
        with on_core(core):
            process = subprocess.Popen(
                [str(program), str(port), str(request_file), str(frames_file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        try:
            yield Load(process, Path(directory))
        finally:
            try:
                process.communicate(timeout=5)  # closes its stdin, at which it ends
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
