"""Access: the door that an app's author sees."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from starlette.requests import HTTPConnection

from roomcast.auth.caller import Caller
from roomcast.auth.identity import Action, Identity
from roomcast.auth.rules import Rule
from roomcast.close_codes import CloseCode
from roomcast.counts import Reason, counts
from roomcast.errors import (
    AccessDenied,
    ConfigurationError,
    Disconnected,
    InvalidRoomName,
    OutOfOrder,
    Refused,
    Unauthenticated,
)
from roomcast.rooms.faces import as_websocket
from roomcast.rooms.names import check_room_name
from roomcast.rooms.outlet import server_outlet
from roomcast.rooms.reading import READING
from roomcast.sendable import MAX_REASON
from roomcast.websocket import WebSocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Scope

    from roomcast.rooms.reading import Reading

logger = logging.getLogger("roomcast.auth")

TIMEOUT = 5.0
"""How many seconds an authenticator or an authorizer may take."""
RETRY_AFTER = "5"
"""After how many seconds it may be tried again where nobody could decide."""

Authenticator: TypeAlias = Callable[[HTTPConnection], "Awaitable[Identity | None] | Identity | None"]
"""Says who makes a request: a plain or a coroutine function, or a `TokenAuthenticator`.

It gets Starlette's HTTPConnection, with headers, cookies, query_params, client and session. It returns an
Identity; None for nobody that it knows; or raises `Unauthenticated` with words for the client.
"""
Authorizer: TypeAlias = Callable[[Identity, str, str], "Awaitable[bool] | bool"]
"""Says whether an identity may do something (such as "join") in a room: a plain or a coroutine function."""


@runtime_checkable
class TakesTokens(Protocol):
    """An authenticator that can be given a token by itself, for `Caller.refresh`."""

    async def identify(self, token: str) -> Identity:
        """Say whose token it is."""


class Auth:
    """Lets in who belongs, on any server and in any framework.

    ```python
    auth = Auth(TokenAuthenticator(SecretKey(secret)))


    @app.websocket("/ws/{room}")
    async def chat(ws: WebSocket, room: str):
        async with auth.admit(ws, room) as caller, rooms.join(room, ws, user=caller.user) as member:
            async for message in member:
                await caller.require("publish", room)
                await rooms.publish(room, message)
    ```

    Args:
        authenticator: says who makes a request.
        authorizer: says who may do what in which room; without one, the identity does.
        timeout: how many seconds each of them may take. What is late, or raises, has refused.

    Raises:
        ConfigurationError: for a timeout that cannot be.
    """

    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer | None = None, *, timeout: float = TIMEOUT
    ) -> None:
        if not timeout > 0:
            raise ConfigurationError(f"timeout is {timeout}: it is a number of seconds above 0")
        self._authenticator = authenticator
        self._authenticate = Rule("authenticator", authenticator, timeout)
        self._authorize = None if authorizer is None else Rule("authorizer", authorizer, timeout)

    async def identify(self, connection: HTTPConnection | Scope) -> Identity:
        """Say who makes a request, HTTP or WebSocket.

        Args:
            connection: Starlette's or FastAPI's request, or an ASGI scope.

        Raises:
            AccessDenied: if it is nobody that is known, or that cannot be said; with `status` and words.
        """
        given = connection if isinstance(connection, HTTPConnection) else HTTPConnection(connection)
        identity = await self._authenticate.ask(given)
        if identity is None:
            raise Unauthenticated("you are not signed in")
        if not isinstance(identity, Identity):
            raise self._authenticate.no_good("an Identity or None", identity)
        identity.check_time()
        return identity

    async def may(self, identity: Identity, action: str, room: str) -> bool:
        """Whether somebody may do something in a room.

        Raises:
            Undecided: if the authorizer raised, or was late.
        """
        if self._authorize is None:
            return identity.may(action, room)
        allowed = await self._authorize.ask(identity, action, room)
        if not isinstance(allowed, bool):
            raise self._authorize.no_good("True or False", allowed)
        return allowed

    @contextlib.asynccontextmanager
    async def admit(
        self,
        ws: Any,  # noqa: ANN401 - any framework's
        room: str | None = None,
        action: str = Action.JOIN,
    ) -> AsyncIterator[Caller]:
        """Let a connection in for the length of an `async with` block, or turn it away.

        It is not accepted: that is for the block to do. Once the identity holds no more, the connection is closed
        with 4001, unless `Caller.refresh` or `Caller.renew` came before. Whoever is turned away gets an HTTP
        response (400, 401, 403 or 503) with a short JSON body; a page, which sees no such response, an acceptance
        and then a close with the code (4000, 4001, 4003 or 1013).

        Args:
            ws: what `Rooms.join` takes: a `roomcast.WebSocket`, a framework's, or (scope, receive, send).
            room: the room that it wants to be in, None for none. One whose name cannot be (`Rooms.join`) is
                refused with 400 before anybody is asked.
            action: what it wants there.

        Raises:
            Refused: it was turned away. Let it through: our server, and `websocket_app` on any other, know it.
        """
        face = as_websocket(ws)
        try:
            if room is not None:
                check_room_name(room)
            identity = await self.identify(HTTPConnection(face.scope))
            caller = Caller(identity, self.may, self._identify_token, _closing(ws))
            if room is not None:
                await caller.require(action, room)
        except InvalidRoomName as error:
            counts[Reason.ROOM_NAME] += 1
            raise await _turn_away(face, CloseCode.BAD_REQUEST, str(error), 400) from None
        except AccessDenied as denial:
            raise await turn_away(face, denial) from None
        face.scope["subprotocols"] = face.subprotocols  # what brought a token is none to accept
        outlet = server_outlet(face.scope)
        if outlet is not None:
            outlet.user = identity.user
        caller.watch()
        try:
            yield caller
        finally:
            caller.leave()

    async def _identify_token(self, token: str) -> Identity:
        if not isinstance(self._authenticator, TakesTokens):
            raise Unauthenticated("no token is taken here: come back to be recognised anew")
        return await self._authenticator.identify(token)


_REASONS = {401: Reason.UNAUTHENTICATED, 403: Reason.FORBIDDEN, 503: Reason.UNDECIDED}


async def turn_away(ws: WebSocket, denial: AccessDenied) -> Refused:
    """Turn a connection away in the way that its client can see, and give what is to be raised then."""
    counts[_REASONS[denial.status]] += 1
    headers = {"www-authenticate": "Bearer"} if denial.status == 401 else {}
    if denial.status == 503:
        headers = {"retry-after": RETRY_AFTER}
    return await _turn_away(ws, denial.code, str(denial), denial.status, headers)


async def _turn_away(
    ws: WebSocket, code: int, why: str, status: int, headers: Mapping[str, str] = MappingProxyType({})
) -> Refused:
    """Let a page, as which a browser's origin gives it away, see the code in a close."""
    reason = _short(why)
    is_page = "origin" in ws.headers
    with contextlib.suppress(Disconnected):  # it has gone by itself
        await ws.reject(code, reason, status=status, headers=headers, after_accept=is_page)
    return Refused(code, reason)


def _short(reason: str) -> str:
    """Give what fits into a close frame."""
    return reason.encode(errors="replace")[:MAX_REASON].decode(errors="ignore")


def _closing(ws: Any) -> Callable[[int, str], bool]:  # noqa: ANN401 - any framework's
    """Give what closes a connection from outside of its handler, and says whether it could."""
    closings: set[asyncio.Task[None]] = set()

    def close(code: int, reason: str) -> bool:
        face = as_websocket(ws)  # anew: only now it is known whether its framework has accepted it
        offered = (face.scope.get("extensions") or {}).get("roomcast.outlet", {}).get("outlet")
        if offered is not None:
            if offered.is_opening():
                return False
            offered.close(code, reason)
            return True
        reading: Reading | None = face.scope.get(READING)
        if not face.accepted and (reading is None or not reading.accepted):
            return face.close_code is not None
        if not face.accepted:  # its framework has accepted it, and tells nobody
            face = WebSocket(*face.asgi, accepted=True)
        task = asyncio.create_task(_close(face, code, reason))
        closings.add(task)
        task.add_done_callback(closings.discard)
        return True

    return close


async def _close(ws: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(Disconnected, OutOfOrder):
        await ws.close(code, reason)
