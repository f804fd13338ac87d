"""Listening on a unix socket: a file, which may be there already, and must not be left behind."""

from __future__ import annotations

import os
import socket
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from roomcast.errors import ConfigurationError
from roomcast.serving.tcp import BACKLOG

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_PATH = 107 if sys.platform == "linux" else 103
"""How many bytes the path of a unix socket may have: those of sun_path (unix(7)), less the zero at the end."""


@contextmanager
def listening_on_path(path: str) -> Iterator[list[socket.socket]]:
    """Listen on a unix socket at `path`, and remove the file in the end.

    Everyone on this machine may connect, as everyone may to a loopback port: where that is too many, keep the
    socket in a folder that the others cannot enter. The file that a killed server left behind is replaced.

    Raises:
        ConfigurationError: another server listens there, the file is no socket, or the path cannot be used.
    """
    if sys.platform == "win32":
        raise ConfigurationError("--uds: Windows has no unix sockets to listen on; use --host and --port")
    listener, identity = _listener(path)
    with listener:
        try:
            yield [listener]
        finally:
            # Someone may have removed the file and started another server, whose file it is now.
            with suppress(FileNotFoundError):
                if _identity(path) == identity:
                    Path(path).unlink()


def _listener(path: str) -> tuple[socket.socket, tuple[int, int]]:
    """Bind and listen; returns the socket and what tells its file from another one at the same path."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_room(path)
        listener.bind(path)
        listener.listen(BACKLOG)
        Path(path).chmod(0o666)
        return listener, _identity(path)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"--uds: cannot listen on {path}: {error.strerror}") from None
    except ConfigurationError:
        listener.close()
        raise


def _make_room(path: str) -> None:
    """See to it that there is no file at `path`, without harm to anything that is of use to anyone."""
    length = len(os.fsencode(path))
    if not 1 <= length <= LONGEST_PATH:
        raise ConfigurationError(
            f"--uds: the path has {length} bytes, but a unix socket's has 1 to {LONGEST_PATH}: choose another one"
        )
    folder = Path(path).parent
    if not folder.is_dir():
        raise ConfigurationError(f"--uds: the folder {folder} does not exist: make it, or choose another path")
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigurationError(f"--uds: {path} exists and is no socket, so it stays: choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            pass  # Its backlog is full, so there is one.
    raise ConfigurationError(f"--uds: a server listens on {path} already: stop it, or choose another path")


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
