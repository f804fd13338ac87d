"""The `roomcast` command in a pipe."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING
from unittest.mock import patch

from roomcast.cli import main
from tests.programs import DEADLINE, ROOMCAST

if TYPE_CHECKING:
    from pathlib import Path


def roomcast(*arguments: str | Path, stdin: str | bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
    """Run it with something on its standard input, and return what it printed, and its return code."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOMCAST_")}
    with tempfile.TemporaryDirectory(prefix="roomcast-state-") as state:
        done = subprocess.run(
            [ROOMCAST, *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env=clean | {"XDG_STATE_HOME": state} | env,
            timeout=DEADLINE * 2,
            check=False,
        )
    out, err = done.stdout.decode("utf-8", "backslashreplace"), done.stderr.decode("utf-8", "backslashreplace")
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def complaint(*arguments: str | Path, status: int, **env: str) -> str:
    """The one line with which it ends with that status, without its `Error: `.

    It runs in this process: that takes a tenth of the time, and there are many mistakes to make.
    """
    out, err = StringIO(), StringIO()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOMCAST_")}
    with tempfile.TemporaryDirectory(prefix="roomcast-state-") as state:
        variables = clean | {"XDG_STATE_HOME": state} | env
        with patch.dict(os.environ, variables, clear=True), redirect_stdout(out), redirect_stderr(err):
            try:
                main([str(argument) for argument in arguments], prog_name="roomcast")
            except SystemExit as ended:
                code = ended.code
    assert code == status, err.getvalue()
    assert out.getvalue() == ""
    told = err.getvalue()
    assert told.count("\n") == 1, told
    assert told.startswith("Error: ")
    return told.removeprefix("Error: ").rstrip("\n")


def free_port() -> int:
    """Give a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
