"""uvicorn's two supervisors, of several workers and of one that reloads, made to end when they are asked to."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from uvicorn.supervisors import ChangeReload, Multiprocess, multiprocess

from roomcast.serving.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from roomcast.serving.config import Config

GRACE_SECONDS = 5.0
"""How long a supervisor waits for its workers beyond what they may take for their connections, before it kills
them: so long an app's own shutdown may take."""
HURRY_SECONDS = 1.0
"""How long it waits once it was told to hurry."""
NOTICE_SECONDS = 0.6
"""How long a supervisor of several workers takes, at the most, until it has told them to stop."""


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Let a Ctrl+C wait until the end of the block; in a process that is started in it, for good.

    A terminal's Ctrl+C reaches all processes of the command, and one in which Python itself still starts would
    answer with a traceback.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Worker(multiprocess.Process):
    """A process that serves, with our server."""

    config: Config

    @property
    def server(self) -> Server:  # noqa: D102
        if self._server is None:
            self._server = Server(self.config)
        return self._server  # type: ignore[return-value]


multiprocess.Process = Worker  # type: ignore[misc]  # uvicorn's supervisor makes its processes of what it finds there


class Workers(Multiprocess):
    """Keeps several workers running, and waits for none of them forever when it stops."""

    config: Config

    def init_processes(self) -> None:  # noqa: D102
        with ctrl_c_held_back():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:  # noqa: D102
        with ctrl_c_held_back():
            super().keep_subprocess_alive()

    def join_all(self) -> None:  # noqa: D102
        deadline = time.monotonic() + self.config.drain + GRACE_SECONDS
        hurries = False
        for worker in self.processes:
            while worker.exitcode is None and time.monotonic() < deadline:
                worker.process.join(0.05)
                if self.signal_queue and not hurries:  # the second one
                    hurries = True
                    deadline = time.monotonic() + HURRY_SECONDS
                    self._hurry()
            if worker.exitcode is None:
                worker.kill()
        super().join_all()

    def _hurry(self) -> None:
        for worker in self.processes:
            if worker.exitcode is None and worker.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGTERM)


class Reloader(ChangeReload):  # type: ignore[valid-type, misc]  # uvicorn chooses the class when it is imported
    """Starts the worker anew when source files change, and waits for none that does not end."""

    config: Config
    _hurries = False

    def signal_handler(self, sig: int, frame: FrameType | None) -> None:  # noqa: D102
        self._hurries = self.should_exit.is_set()
        super().signal_handler(sig, frame)

    def startup(self) -> None:  # noqa: D102
        with ctrl_c_held_back():
            super().startup()

    def restart(self) -> None:  # noqa: D102
        self._stop()
        with ctrl_c_held_back():
            super().restart()

    def shutdown(self) -> None:  # noqa: D102
        self._stop()
        super().shutdown()

    def _stop(self) -> None:
        deadline = time.monotonic() + self.config.drain + GRACE_SECONDS
        self.process.terminate()
        while self.process.exitcode is None and time.monotonic() < deadline and not self._hurries:
            self.process.join(0.05)
        if self.process.exitcode is None:
            self.process.kill()
