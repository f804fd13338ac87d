"""Guard: stands before an ASGI app, and lets in only who may come, and only as much as one may send."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from roomcast.close_codes import CloseCode
from roomcast.counts import Reason, counts
from roomcast.errors import Disconnected
from roomcast.limits import Admissions, Limits, address_of
from roomcast.origins import Origins
from roomcast.server.rate import OVER, WITHIN, Rate
from roomcast.websocket import WebSocket

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOO_MUCH = "too many messages or bytes in a second"
TOLD = 100
"""How many pages are told in `TOLD_SECONDS` why they are not let in: each holds a socket until it answers."""
TOLD_SECONDS = 10.0
"""How long servers wait for the answer to a close."""


class Guard:
    """Middleware for any ASGI app on any server, that looks at WebSockets only.

    ```python
    app = Guard(app, origins=Origins("https://app.example.org"), limits=Limits(messages_per_second=20))
    ```

    In Starlette and FastAPI: `app.add_middleware(Guard, origins=…, limits=…)`, once. `roomcast serve` has one
    around every app. Who is not let in gets an HTTP response of 403, 429 or 503 with a short JSON body; a page of
    an allowed origin, which could not see that, is accepted and closed with 4029 or 1013, unless many just were.
    What is counted is in `roomcast.limits.counts`.

    Whose address is meant, the server says in the scope. Behind a proxy it has to be told to believe that proxy
    (uvicorn: `--forwarded-allow-ips`), or all have the proxy's address.

    Args:
        app: the app.
        origins: from which pages browsers may come; from the server's own, unless given.
        limits: how many connections there may be, and how much they may send; the defaults, unless given.
    """

    def __init__(self, app: ASGIApp, *, origins: Origins | None = None, limits: Limits | None = None) -> None:
        self.app = app
        self._origins = origins or Origins()
        self._limits = limits or Limits()
        self._admissions = Admissions(self._limits)
        self._told: deque[float] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or refuse it."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        problem = self._origins.problem(scope)
        if problem is not None:
            counts[Reason.ORIGIN] += 1
            await _refuse(WebSocket(scope, receive, send), CloseCode.FORBIDDEN, problem, status=403)
            return
        address = address_of(scope.get("client"))
        denial = self._admissions.enter(address)
        if denial is not None:
            code = CloseCode.RATE_LIMITED if denial.status == 429 else CloseCode.TRY_AGAIN_LATER
            ws = WebSocket(scope, receive, send)
            await _refuse(
                ws,
                code,
                denial.reason,
                status=denial.status,
                headers={"retry-after": str(denial.retry_after)},
                after_accept="origin" in ws.headers and self._may_tell(),
            )
            return
        rate = self._limits.rate(asyncio.get_running_loop().time)
        outlet = scope.get("extensions", {}).get("roomcast.outlet", {}).get("outlet")
        if outlet is None:
            outlet = _Paced(receive, send)
            receive, send = outlet.receive, outlet.send
        if rate is not None:
            outlet.limit_rate(rate, self._limits.warning)
        try:
            await self.app(scope, receive, send)
        finally:
            self._admissions.leave(address)
            if outlet.has_failed:
                self._admissions.charge(address)

    def _may_tell(self) -> bool:
        """Whether one more page may be accepted to be told that it is not let in: anybody can look like a page."""
        now = time.monotonic()
        while self._told and self._told[0] < now - TOLD_SECONDS:
            self._told.popleft()
        if len(self._told) >= TOLD:
            return False
        self._told.append(now)
        return True


class _Paced:
    """The receive and send of one connection on a server that knows nothing of rates.

    Our own counts where it reads, which costs next to nothing, and sees all that comes.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._rate: Rate | None = None
        self._warning: str | None = None
        self.has_failed = False

    def limit_rate(self, rate: Rate, warning: str | None) -> None:
        self._rate = rate
        self._warning = warning

    async def receive(self) -> Message:
        if self.has_failed:
            return _end()
        event = await self._receive()
        if self._rate is None or event["type"] != "websocket.receive":
            return event
        verdict = self._rate.take(1, len((event.get("text") or "").encode() or event.get("bytes") or b""))
        if verdict == WITHIN:
            return event
        if verdict == OVER:
            counts[Reason.RATE] += 1
            self.has_failed = True
            await self._send({"type": "websocket.close", "code": CloseCode.RATE_LIMITED.value, "reason": TOO_MUCH})
            return _end()
        counts[Reason.RATE_WARNING] += 1
        if self._warning is not None:
            await self._send({"type": "websocket.send", "text": self._warning})
        return event

    async def send(self, event: Message) -> None:
        if self.has_failed:
            raise Disconnected(CloseCode.RATE_LIMITED, TOO_MUCH)
        await self._send(event)


def _end() -> Message:
    return {"type": "websocket.disconnect", "code": CloseCode.RATE_LIMITED.value, "reason": TOO_MUCH}


async def _refuse(
    ws: WebSocket,
    code: CloseCode,
    reason: str,
    *,
    status: int,
    headers: dict[str, str] | None = None,
    after_accept: bool = False,
) -> None:
    try:
        await ws.reject(code, reason, status=status, headers=headers or {}, after_accept=after_accept)
    except Disconnected:
        return  # it has gone by itself
