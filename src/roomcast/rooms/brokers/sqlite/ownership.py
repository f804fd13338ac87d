"""Ownership: one process's hold on a file, and the mark by which the next one knows how it ended."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from roomcast.errors import BrokerInUse

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # what is locked there cannot be read either
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
RECORD = 256
"""How many bytes of the lock file count."""
CLEAN, MARKED = b"=", b"!"


class Ownership:
    """Holds a file for this process, by a lock on `FILE-lock`, which ends with the process, however that ends.

    A file of its own: the locks that SQLite itself has on the database would be lost where the database is opened
    a second time in the same process. It stays behind, as removing it would let two processes hold two of them.
    Its first byte is the mark.

    Args:
        path: the file that is owned.
    """

    def __init__(self, path: Path) -> None:
        self._owned = path
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the file.

        Raises:
            BrokerInUse: another process has it, or this one by another broker.
            OSError: there can be no lock file.
        """
        target = self._owned.resolve()  # by whatever link it is reached
        descriptor = os.open(f"{target}-lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError as error:
            with suppress(OSError):
                owner = _read(descriptor)[1:].decode(errors="replace").strip()
            os.close(descriptor)
            if error.errno not in HELD:
                raise
            raise BrokerInUse(
                f"{self._owned} belongs to {owner or 'another process'}, and its rooms are in that one process: "
                "stop it, choose another file, or use a broker that several processes share"
            ) from None
        self._descriptor = descriptor
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        owner = f" process {os.getpid()} ({Path(sys.argv[0]).name or 'python'}) since {since}"
        try:
            self._write((_read(descriptor)[:1] or CLEAN) + owner.encode()[: RECORD - 2].ljust(RECORD - 2) + b"\n")
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let go of the file."""
        if self._descriptor != -1:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def marked(self) -> bool:
        """Whether the mark is set."""
        return _read(self._descriptor)[:1] == MARKED

    def mark(self, *, on: bool) -> None:
        """Set the mark, or take it away. It overwrites a byte, which needs no space on a full disk."""
        self._write(MARKED if on else CLEAN)

    def _write(self, data: bytes) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, data)
        os.fsync(self._descriptor)


def _read(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, RECORD)
