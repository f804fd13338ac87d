"""Health: whether this process lives, and whether it is to get connections.

`healthz` and `readyz` are ASGI apps, for an app that has no `--metrics-port` where they are served by themselves:

```python
app.mount("/healthz", healthz)  # FastAPI or Starlette
app.mount("/readyz", readyz)
```
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send


class Health:
    """What is known of this process.

    Attributes:
        drains: the servers that go, and see their connections off.
        checks: each says what is wrong, in a few words that anybody may read, or "" where nothing is.
    """

    def __init__(self) -> None:
        self.drains: WeakSet[object] = WeakSet()
        self.checks: set[Callable[[], str]] = set()

    @property
    def draining(self) -> bool:
        """Whether the server goes, and sees its connections off."""
        return len(self.drains) > 0

    def problems(self) -> list[str]:
        """Give what speaks against new connections; nothing where they are welcome."""
        found = ["draining"] if self.draining else []
        return found + [problem for check in tuple(self.checks) if (problem := check())]


health = Health()
"""That of this process."""


async def answer(send: Send, problems: list[str]) -> None:
    """Answer a request: 200 where there are no problems, else 503 and what they are."""
    status = {"status": "unavailable", "problems": problems} if problems else {"status": "ok"}
    body = json.dumps(status).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 503 if problems else 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Endpoint:
    """An ASGI app for HTTP alone."""

    def __init__(self, problems: Callable[[], list[str]]) -> None:
        self._problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if scope["type"] == "http":
            await answer(send, self._problems())
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})


healthz = _Endpoint(list)
"""An ASGI app: 200, as long as the event loop answers anything."""
readyz = _Endpoint(health.problems)
"""An ASGI app: 200 where connections are welcome; 503 while the server drains, or a broker cannot be reached."""
