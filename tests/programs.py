"""Programs run as users run them: a process of their own, real pipes, and a deadline on every wait."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

DEADLINE = 20.0
"""Seconds that a wait may take unless told otherwise: far more than it needs, on a loaded machine too."""

ROOMCAST = Path(sys.executable).with_name("roomcast")
"""The installed `roomcast` command, of the environment that runs the tests."""

Stream: TypeAlias = Literal["out", "err"]


class ProgramFailed(AssertionError):
    """The program did not do what was waited for; the message holds everything that it printed."""


class Program:
    """A program in a process of its own, whose output is read while it runs.

    ```python
    with Program.roomcast("serve", "main:app", "--port", "0", cwd=tmp_path) as program:
        url = program.wait_for_line(r"on (http://\\S+)")[1]
        ...
        assert program.terminate() == 0
    ```

    Leaving the `with` block ends the program, and whatever it started, if that has not happened yet. Every
    wait blocks its thread: a test with an event loop that must go on waits in `asyncio.to_thread`.

    Args:
        command: the program and its arguments.
        cwd: the folder it runs in; that of the tests unless given.
        env: variables to set on top of the environment of the tests, from which every ROOMCAST_* variable
            is left out first, so that what a developer has set changes no test. What programs keep for their user
        is in a folder of this program's own, unless XDG_STATE_HOME is among them.
    """

    def __init__(
        self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.command = [str(part) for part in command]
        self._cwd = cwd
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROOMCAST_")}
        self._state = tempfile.TemporaryDirectory(prefix="roomcast-state-")
        self._env = inherited | {"XDG_STATE_HOME": self._state.name} | dict(env or {})
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        self._lines: list[tuple[Stream, str]] = []
        self._open: set[Stream] = set()
        self._news = threading.Condition()

    @classmethod
    def roomcast(
        cls, *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Self:
        """The installed `roomcast` command, with these arguments."""
        return cls(ROOMCAST, *arguments, cwd=cwd, env=env)

    def start(self) -> Self:
        """Start the program; the context manager does it by itself."""
        self._process = subprocess.Popen(
            self.command,
            cwd=self._cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            # A group of its own: a Ctrl+C meant for it stays with it, and what it leaves behind can be ended.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=("out", self._process.stdout), daemon=True),
            threading.Thread(target=self._read, args=("err", self._process.stderr), daemon=True),
        ]
        self._open = {"out", "err"}
        for reader in self._readers:
            reader.start()
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    @property
    def returncode(self) -> int | None:
        """What it exited with (minus the signal's number, where a signal killed it), None while it runs."""
        return self._running.poll()

    @property
    def output(self) -> str:
        """Everything it printed so far: both streams, in the order in which the lines were read."""
        return self._joined("out", "err")

    @property
    def stdout(self) -> str:
        """What it printed to its standard output so far."""
        return self._joined("out")

    @property
    def stderr(self) -> str:
        """What it printed to its standard error so far."""
        return self._joined("err")

    def wait_for_line(self, pattern: str, timeout: float = DEADLINE, *, occurrence: int = 1) -> re.Match[str]:
        """Wait until it has printed a line, on either stream, in which the regular expression is found.

        Args:
            pattern: the regular expression; it sees one line at a time, without its end.
            timeout: how many seconds that may take.
            occurrence: which of the matching lines to wait for, 1 for the first since the program's start.

        Returns:
            The match.

        Raises:
            ProgramFailed: the time is over, or the program ended without that line.
        """
        deadline = time.monotonic() + timeout
        wanted = f"no line like {pattern!r}" if occurrence == 1 else f"no {occurrence} lines like {pattern!r}"
        with self._news:
            while True:
                matches = [match for _, line in self._lines if (match := re.search(pattern, line.rstrip("\n")))]
                if len(matches) >= occurrence:
                    return matches[occurrence - 1]
                if not self._open:
                    raise self._failed(f"{wanted}, and it ended")
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise self._failed(f"{wanted} within {timeout:g} s")
                self._news.wait(remaining)

    def wait(self, timeout: float = DEADLINE) -> int:
        """Wait until it has ended, and every process that it started and that writes to the same pipes too.

        Returns:
            The return code.

        Raises:
            ProgramFailed: the time is over.
        """
        deadline = time.monotonic() + timeout
        try:
            returncode = self._running.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._failed(f"still running after {timeout:g} s") from None
        for reader in self._readers:
            reader.join(max(0.0, deadline - time.monotonic()))
            if reader.is_alive():
                raise self._failed(f"it ended, but left processes behind that still ran after {timeout:g} s")
        return returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal: to the process that was started, not to its children."""
        self._running.send_signal(number)

    def press_ctrl_c(self) -> None:
        """Interrupt it as a terminal does: it and all its children get SIGINT at once."""
        os.killpg(self.pid, signal.SIGINT)

    def terminate(self, timeout: float = DEADLINE) -> int:
        """Ask it to stop (SIGTERM), wait until it has, and return its return code.

        Raises:
            ProgramFailed: it did not stop in time.
        """
        self.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        if self.returncode is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._running.wait()
        for reader in self._readers:
            reader.join(1.0)
        # A pipe that stays open has a writer: the program's group has members left, and so is still its own.
        if any(reader.is_alive() for reader in self._readers):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        for reader in self._readers:
            reader.join(DEADLINE)
        self._state.cleanup()

    @property
    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "the program was not started"
        return self._process

    def _read(self, stream: Stream, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                with self._news:
                    self._lines.append((stream, line))
                    self._news.notify_all()
        with self._news:
            self._open.discard(stream)
            self._news.notify_all()

    def _joined(self, *streams: Stream) -> str:
        with self._news:
            return "".join(line for stream, line in self._lines if stream in streams)

    def _failed(self, problem: str) -> ProgramFailed:
        returncode = self.returncode
        state = "running" if returncode is None else f"ended with {returncode}"
        printed = "".join(f"  {stream}| {line.rstrip()}\n" for stream, line in self._lines)
        return ProgramFailed(
            f"{problem}\n  program: {' '.join(self.command)} ({state})\n{printed or '  it printed nothing'}"
        )


def run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Program:
    """Run a program that ends by itself, and return it ended, with its output and return code."""
    with Program(*command, cwd=cwd, env=env) as program:
        program.wait()
    return program
