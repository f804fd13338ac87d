"""uvicorn's two supervisors, of several workers and of one that reloads, made to end when they are asked to."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.supervisors import ChangeReload, Multiprocess

from roomcast.redaction import watch_logs
from roomcast.serving.limiting import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKER_GRACE_SECONDS = 10
"""How long a stopping supervisor waits for its workers, before it kills them: twice as long as they wait."""


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


class Config(uvicorn.Config):
    """uvicorn's configuration, with a guard before the app, and no tokens in its logs.

    In each process that it is sent to, it makes an end of holding Ctrl+C back.
    """

    def load(self) -> None:  # noqa: D102
        super().load()
        # Within what reads the headers of proxies, so that addresses are those of the clients.
        app: Any = self.loaded_app
        if isinstance(app, ProxyHeadersMiddleware):
            app.app = cast("Any", guarded(cast("Any", app.app)))
        else:
            self.loaded_app = cast("Any", guarded(app))

    def configure_logging(self) -> None:  # noqa: D102
        super().configure_logging()
        watch_logs()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # Ignored, as the supervisor sees to the end of this process, until uvicorn's server wants to hear of it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class Workers(Multiprocess):
    """Keeps several workers running, and waits for none of them forever when it stops."""

    def init_processes(self) -> None:  # noqa: D102
        with ctrl_c_held_back():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:  # noqa: D102
        with ctrl_c_held_back():
            super().keep_subprocess_alive()

    def join_all(self) -> None:  # noqa: D102
        deadline = time.monotonic() + WORKER_GRACE_SECONDS
        for worker in self.processes:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.exitcode is None:
                worker.kill()
        super().join_all()


class Reloader(ChangeReload):  # type: ignore[valid-type, misc]  # uvicorn chooses the class when it is imported
    """Starts the worker anew when source files change."""

    def startup(self) -> None:  # noqa: D102
        with ctrl_c_held_back():
            super().startup()

    def restart(self) -> None:  # noqa: D102
        with ctrl_c_held_back():
            super().restart()
