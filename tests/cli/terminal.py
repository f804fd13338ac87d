"""A program on a terminal: what it shows is read, and what a person types is written."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from typing import TYPE_CHECKING, Self

from tests.programs import DEADLINE, ROOMCAST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_=>78])")
TAKES_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Python that makes its standard input its terminal, and then becomes another program."""
UP, CTRL_A, CTRL_C, CTRL_D, ENTER = "\x1b[A", "\x01", "\x03", "\x04", "\r"


class Terminal:
    """The `roomcast` command on a terminal of its own, 100 columns wide.

    Args:
        arguments: its arguments.
        env: variables to set; what it keeps for its user is in a folder of its own, unless XDG_STATE_HOME is set.
    """

    def __init__(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> None:
        self._arguments = [str(argument) for argument in arguments]
        self._state = tempfile.TemporaryDirectory(prefix="roomcast-state-")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROOMCAST_")}
        # Nobody is here to say where the cursor is when asked.
        own = {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "XDG_STATE_HOME": self._state.name}
        self._env = inherited | own | dict(env or {})
        self._shown = ""
        self._news = threading.Condition()
        self._process: subprocess.Popen[bytes]
        self._master: int

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))

        self._process = subprocess.Popen(
            [sys.executable, "-ISc", TAKES_TERMINAL, ROOMCAST, *self._arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self._env,
            start_new_session=True,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(DEADLINE)
        os.close(self._master)
        self._state.cleanup()

    @property
    def shown(self) -> str:
        """All that was shown so far, without colours and movements of the cursor."""
        with self._news:
            return ESCAPES.sub("", self._shown).replace("\r", "")

    @property
    def raw(self) -> str:
        """All that was shown so far, as it came."""
        with self._news:
            return self._shown

    def wait_for(self, pattern: str, *, occurrence: int = 1) -> re.Match[str]:
        """Wait until something like that is shown."""
        deadline = time.monotonic() + DEADLINE
        while True:
            shown = self.shown
            matches = list(re.finditer(pattern, shown))
            if len(matches) >= occurrence:
                return matches[occurrence - 1]
            with self._news:
                assert self._news.wait(max(0.0, deadline - time.monotonic())), f"no {pattern!r} in:\n{shown}"

    def type(self, text: str) -> None:
        """Type, as a person does: what a key sends."""
        os.write(self._master, text.encode())

    def wait(self) -> int:
        """Wait until it has ended, and give its return code."""
        returncode = self._process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return returncode

    def _read(self) -> None:
        partial = b""
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # EIO: the program has closed its side
                data = b""
            partial += data
            text = partial.decode("utf-8", "ignore")
            partial = partial[len(text.encode()) :]
            with self._news:
                self._shown += text
                self._news.notify_all()
            if not data:
                return
