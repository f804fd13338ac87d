"""The load: the C program that drives a server, and what it says."""

from __future__ import annotations

import json
import struct
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import Failed, on_core

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Load:
    """The load, connected to one server. See c/load.c for what its commands do.

    Args:
        process: the program.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def open(self, count: int, seconds: float = 60.0) -> dict[str, float]:
        """Open connections: `count`, or as many as it can in the time."""
        return self._ask(f"open {count} {seconds}")

    def echo(self, seconds: float) -> dict[str, float]:
        """Have a message in flight on each connection for some time."""
        return self._ask(f"echo {seconds}")

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
            yield Load(process)
        finally:
            try:
                process.communicate(timeout=5)  # closes its stdin, at which it ends
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
