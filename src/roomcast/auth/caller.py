"""Caller: somebody who was let in, for as long as the connection lasts and the identity holds."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from roomcast.auth.identity import Action
from roomcast.close_codes import CloseCode
from roomcast.counts import Reason, counts
from roomcast.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomcast.auth.identity import Identity

LONGEST_WAIT = 3600.0
"""After how many seconds the clock is looked at again: it may have been set, and timers count otherwise."""
_NOT_ALLOWED: dict[str, str] = {
    Action.JOIN: "this room is not open to you",
    Action.PRESENCE: "you may not see who is in this room",
    Action.HISTORY: "you may not see what was said in this room before",
}
EXPIRED = "the token has expired: come back with a fresh one"


class Caller:
    """Somebody who was let in, as `Auth.admit` gives it.

    Args:
        identity: who it is.
        decide: says whether somebody may do something in a room, or raises why that cannot be said.
        identify: says whose token it is.
        close: closes the connection with a code and a reason, and says whether it could: not before it is open.
    """

    def __init__(
        self,
        identity: Identity,
        decide: Callable[[Identity, str, str], Awaitable[bool]],
        identify: Callable[[str], Awaitable[Identity]],
        close: Callable[[int, str], bool],
    ) -> None:
        self.identity = identity
        self._decide = decide
        self._identify = identify
        self._close = close
        self._timer: asyncio.TimerHandle | None = None
        self._is_watched = False

    @property
    def user(self) -> str:
        """The user, as `Rooms.join` takes it."""
        return self.identity.user

    @property
    def name(self) -> str | None:
        """The name to show, None where there is none."""
        return self.identity.name

    async def require(self, action: str, room: str) -> None:
        """Go on only if the caller may do something in a room.

        Raises:
            Forbidden: if not.
            Undecided: if the app's own rule raised, or was late.
        """
        if not await self._decide(self.identity, action, room):
            raise Forbidden(_NOT_ALLOWED.get(action) or f"you may not {action} in this room")

    async def may(self, action: str, room: str) -> bool:
        """Whether the caller may do something in a room.

        Raises:
            Undecided: if the app's own rule raised, or was late.
        """
        return await self._decide(self.identity, action, room)

    async def refresh(self, token: str) -> Identity:
        """Take a fresh token for the one that the caller came with: what it says holds from now on.

        Of what was asked at the join (presence, history), nothing changes for those who have joined.

        Returns:
            The new identity.

        Raises:
            Unauthenticated: if the token is no good; the old one goes on to its end.
            Forbidden: if it is another user's.
            Undecided: if the keys of tokens cannot be reached.
        """
        return self.renew(await self._identify(token))

    def renew(self, identity: Identity) -> Identity:
        """Take a new identity for the one that the caller came with, wherever it is from.

        Raises:
            Unauthenticated: if it has expired already.
            Forbidden: if it is another user.
        """
        if identity.user != self.identity.user:
            raise Forbidden("the fresh token is another user's")
        identity.check_time()
        self.identity = identity
        self._set_timer()
        return identity

    def on_expiry(self, close: Callable[[int, str], object]) -> None:
        """Have `close` called, with code and reason, once the identity holds no more: it is to close."""

        def closed(code: int, reason: str) -> bool:
            close(code, reason)
            return True

        self._close = closed

    def watch(self) -> None:
        """Close the connection once the identity holds no more."""
        self._is_watched = True
        self._set_timer()

    def leave(self) -> None:
        """Watch no more: the connection is over."""
        self._is_watched = False
        self._stop()

    def _set_timer(self) -> None:
        self._stop()
        if self.identity.expires is None or not self._is_watched:
            return
        seconds = min(max(0.0, self.identity.expires - time.time()), LONGEST_WAIT)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if self.identity.expires is None or self.identity.expires > time.time():
            self._set_timer()
        elif self._close(CloseCode.UNAUTHORIZED, EXPIRED):
            counts[Reason.EXPIRED] += 1
        else:
            self._timer = asyncio.get_running_loop().call_later(1.0, self._look)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __repr__(self) -> str:
        return f"<Caller {self.user!r}>"
