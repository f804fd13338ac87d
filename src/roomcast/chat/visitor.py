"""Visitor: who comes to the chat, and what they may do there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from roomcast.auth import Action
from roomcast.auth.access import turn_away
from roomcast.errors import AccessDenied, Undecided

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from roomcast.auth import Auth, Caller
    from roomcast.websocket import WebSocket

MAX_NAME = 64
"""The longest name to chat under, in characters."""
MOST_ASKED_OF = 200
"""Of how many rooms, those with the most members, it is asked whether a visitor may see them."""

SEEN_SECONDS = 1.0
"""For how long the answer holds: what a client may ask for as often as it likes shall not cost a rule of the app's
hundreds of calls each time."""


class Visitor:
    """Somebody in one room of the chat.

    Args:
        room: the room.
        name: the name that the client wants.
        caller: who was let in; None where everybody is, who then may do everything.
        allowed: what the caller may do in the room.
    """

    def __init__(
        self,
        room: str,
        name: str | None,
        caller: Caller | None = None,
        allowed: Sequence[Action] = tuple(Action),
    ) -> None:
        self._room = room
        self._caller = caller
        self._seen: dict[str, int] | None = None
        self.allowed = allowed
        """What the visitor may do in the room, as it was at the join."""
        self.name = name if caller is None else (caller.name or caller.user)[:MAX_NAME]
        """The name to show. Who is known goes by no other."""
        self.user = None if caller is None else caller.user
        """The user, None where nobody is known."""

    @property
    def expires(self) -> float | None:
        """Until when the visitor may stay, in seconds since the Unix epoch; None for as long as wanted."""
        return None if self._caller is None else self._caller.identity.expires

    async def may_publish(self) -> bool:
        """Whether the visitor may say something, as it is now.

        Raises:
            Undecided: if that cannot be said now.
        """
        return self._caller is None or await self._caller.may(Action.PUBLISH, self._room)

    async def seen(self, rooms: dict[str, int]) -> dict[str, int]:
        """Give those of the rooms that the visitor may know of: where it is told who is there.

        Where that has to be asked, the answer is that of up to a second ago.
        """
        if self._caller is None:
            return rooms
        if self._seen is None:
            self._seen = await self._ask(self._caller, rooms)
            asyncio.get_running_loop().call_later(SEEN_SECONDS, self._forget)
        return self._seen

    async def _ask(self, caller: Caller, rooms: dict[str, int]) -> dict[str, int]:
        biggest = sorted(rooms, key=lambda room: (-rooms[room], room))[:MOST_ASKED_OF]
        try:
            return {room: rooms[room] for room in biggest if await caller.may(Action.PRESENCE, room)}
        except Undecided:
            return {}

    def _forget(self) -> None:
        self._seen = None

    async def refresh(self, token: str) -> bool:
        """Take a fresh token, and say whether the visitor may stay in the room.

        Raises:
            AccessDenied: if it is no good, and why; then nothing has changed.
        """
        if self._caller is None:
            return True
        await self._caller.refresh(token)
        self._forget()
        return await self._caller.may(Action.JOIN, self._room)

    def on_expiry(self, close: Callable[[int, str], object]) -> None:
        """Have `close` called, with code and reason, once the visitor may not stay any more."""
        if self._caller is not None:
            self._caller.on_expiry(close)


@asynccontextmanager
async def let_in(ws: WebSocket, room: str, name: str | None, auth: Auth | None) -> AsyncIterator[Visitor]:
    """Let somebody into a room, or turn them away.

    Raises:
        Refused: they were turned away.
    """
    if auth is None:
        yield Visitor(room, name)
        return
    async with auth.admit(ws, room) as caller:
        try:
            allowed = [action for action in Action if await caller.may(action, room)]
        except AccessDenied as denial:
            raise await turn_away(ws, denial) from None
        yield Visitor(room, name, caller, allowed)
