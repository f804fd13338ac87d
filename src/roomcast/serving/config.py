"""The configuration of a server: uvicorn's, and what Roomcast's has beside."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from roomcast.redaction import watch_logs
from roomcast.serving.limiting import guarded

if TYPE_CHECKING:
    from roomcast.serving.operations import Operations


class Config(uvicorn.Config):
    """uvicorn's configuration, which travels into each process that serves.

    Args:
        app: the app, or its name.
        drain: how many seconds a process that goes takes for its connections.
        operations: what operators can ask for.
        settings: uvicorn's.
    """

    def __init__(self, app: Any, *, drain: float, operations: Operations, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(app, **settings)
        self.drain = drain
        self.operations = operations

    def load(self) -> None:  # noqa: D102
        super().load()
        # Within what reads the headers of proxies, so that addresses are those of the clients.
        app: Any = self.loaded_app
        if isinstance(app, ProxyHeadersMiddleware):
            app.app = cast("Any", guarded(cast("Any", app.app)))
        else:
            app = guarded(app)
        self.loaded_app = cast("Any", self.operations.in_front_of(app))

    def configure_logging(self) -> None:  # noqa: D102
        super().configure_logging()
        watch_logs()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make an end, in the process that it is sent to, of holding Ctrl+C back."""
        self.__dict__.update(state)
        # Ignored, as the supervisor sees to the end of this process, until uvicorn's server wants to hear of it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
