"""Processes: the servers and the load, each on its core, and what the kernel says of them."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
START_TIMEOUT = 15.0
FILES = 65536
PORTS = (20000, 30000)
"""Below those that the kernel gives to clients, and to servers that ask for any."""


class Failed(Exception):
    """A server or the load did not do what it should; says what."""


@dataclass(frozen=True)
class Cores:
    """Which core the server has, and which one the load: the same only where there is no second."""

    server: int
    load: int

    @classmethod
    def of_this_machine(cls) -> Cores:
        """Take the first two that there are."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(cores[0], cores[-1])


@dataclass(frozen=True)
class Usage:
    """What a tree of processes has used: CPU in seconds, and memory in bytes.

    Attributes:
        cpu_seconds: in user and system mode.
        resident: how much memory it has.
        peak: the most that it had since it started, or since `begin_peak`.
    """

    cpu_seconds: float
    resident: int
    peak: int


class ServerProcess:
    """A server that runs.

    Args:
        process: its first process.
        port: where it listens, on the loopback.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self._process = process

    def usage(self) -> Usage:
        """Say what it has used until now, with all of its processes.

        Raises:
            Failed: it has ended.
        """
        ticks = pages = peak = 0
        for pid in self._tree():
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = _stat(pid)
                ticks += sum(map(int, fields[11:15]))  # its own, in user and system mode, and its dead children's
                pages += int(fields[21])
                peak += _peak(pid)
        if not pages:
            raise Failed("the server ended")
        return Usage(ticks / TICKS, pages * PAGE, peak)

    def begin_peak(self) -> int:
        """Forget the most memory that it had; gives how much it has now, in bytes."""
        for pid in self._tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        return self.usage().peak

    def is_running(self) -> bool:
        """Whether its first process lives."""
        return self._process.poll() is None

    def end(self) -> None:
        """End all of its processes: it has nothing to save, and thousands of connections to say goodbye to."""
        pids = self._tree()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def _tree(self) -> list[int]:
        parents: dict[int, int] = {}
        for entry in os.scandir("/proc"):
            if entry.name.isdecimal():
                with suppress(FileNotFoundError, ProcessLookupError):
                    parents[int(entry.name)] = int(_stat(int(entry.name))[1])
        tree = [self._process.pid]
        for pid in tree:  # grows meanwhile
            tree += [child for child, parent in parents.items() if parent == pid]
        return tree


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Have what is started in the block run on one core, or on any for None."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(command: list[str], port: int, core: int | None, directory: str) -> Iterator[ServerProcess]:
    """Run a server on one core, or on any for None, until the block ends.

    Raises:
        Failed: it did not listen in time; says what it printed.
    """
    with tempfile.TemporaryFile() as output:
        try:
            with on_core(core):
                process = subprocess.Popen(
                    command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
        except OSError as error:
            raise Failed(f"{Path(command[0]).name} does not start: {error.strerror}") from None
        server = ServerProcess(process, port)
        try:
            if not _listens(server):
                output.seek(0)
                lines = output.read().decode(errors="replace").strip().splitlines()
                raise Failed(f"did not start: {lines[-1][:200] if lines else 'it printed nothing'}")
            yield server
        finally:
            server.end()


def free_port() -> int:
    """Find a port on the loopback that nobody listens on.

    Not by asking the kernel for any: it would give the same to another program before the server takes it.
    """
    while True:
        port = random.randrange(*PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def allow_many_files() -> int:
    """Let this process, and those that it starts, have as many connections as the workloads open.

    Returns:
        How many files a process may now have.

    Raises:
        Failed: this user may not.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < 8192:
        raise Failed(f"a process may open {limit} files here: 8192 are the least (ulimit -Hn)")
    return limit


def _listens(server: ServerProcess) -> bool:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.is_running():
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=1):
            return True
        time.sleep(0.02)
    return False


def _stat(pid: int) -> list[str]:
    """Give the fields of /proc/PID/stat from the third on: the second is a name, which may have spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
