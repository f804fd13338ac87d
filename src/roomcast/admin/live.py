"""Live: the WebSocket of the operator's page, from the token to what is done for an operator."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, TypeAlias

from roomcast.addresses import address_of
from roomcast.admin import wire
from roomcast.admin.survey import EVERY, Survey
from roomcast.close_codes import CloseCode
from roomcast.errors import BrokerUnavailable, Disconnected, ReceiveTimeout, RoomcastError, RoomsClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.admin.gate import Gate
    from roomcast.rooms import Rooms
    from roomcast.websocket import WebSocket

    WriteNotice: TypeAlias = Callable[[str], Any]

logger = logging.getLogger("roomcast.admin")

TOKEN_SECONDS = 10.0
"""How long the token may take to come."""
MOST_OPERATORS = 20
"""How many pages may be open at once, in one process."""
AT_A_TIME = 100
"""In how many rooms a notice to all is published at the same time."""


class Live:
    """Serves the pages of operators.

    Args:
        rooms: what they look at.
        gate: who is let in.
        write_notice: gives what is published for the text of a notice.
    """

    def __init__(self, rooms: Rooms, gate: Gate, write_notice: WriteNotice) -> None:
        self._rooms = rooms
        self._gate = gate
        self._write_notice = write_notice
        self._survey = Survey(rooms)
        self._operators = 0

    async def __call__(self, ws: WebSocket) -> None:
        """Serve one page until it goes."""
        address = address_of(ws.scope.get("client")) or "a Unix socket"
        await ws.accept(wire.SUBPROTOCOL if wire.SUBPROTOCOL in ws.subprotocols else None)
        with contextlib.suppress(Disconnected):
            if not await self._admits(ws, address):
                return
            if self._operators >= MOST_OPERATORS:
                await ws.close(CloseCode.TRY_AGAIN_LATER, f"{MOST_OPERATORS} operators' pages are open already")
                return
            self._operators += 1
            try:
                await ws.send(wire.welcome())
                await _Operator(ws, address, self._rooms, self._survey, self._write_notice).serve()
            finally:
                self._operators -= 1

    async def _admits(self, ws: WebSocket, address: str) -> bool:
        """Wait for the token, and close the connection where it is not the right one."""
        if self._gate.has_closed_for(address):
            await ws.close(CloseCode.RATE_LIMITED, "too many wrong tokens: wait a minute")
            return False
        try:
            asked, _ = wire.read(await ws.receive(TOKEN_SECONDS))
        except (ReceiveTimeout, ValueError):
            await ws.close(CloseCode.BAD_REQUEST, "the first message is the token")
            return False
        if isinstance(asked, wire.Token) and self._gate.opens(address, asked.token):
            return True
        if self._gate.has_closed_for(address):
            logger.warning("too many wrong tokens for the operator's page from %r", address)
        await ws.close(CloseCode.UNAUTHORIZED, "the token is wrong")
        return False


class _Operator:
    """One page that is open.

    Args:
        ws: its connection.
        address: where it is, for the log.
        rooms: what it looks at.
        survey: what is known of them.
        write_notice: gives what is published for the text of a notice.
    """

    def __init__(
        self, ws: WebSocket, address: str, rooms: Rooms, survey: Survey, write_notice: WriteNotice
    ) -> None:
        self._ws = ws
        self._address = address
        self._rooms = rooms
        self._survey = survey
        self._write_notice = write_notice
        self._view = wire.View()
        self._changed = asyncio.Event()

    async def serve(self) -> None:
        """Show what the operator looks at, and do what it asks for, until it goes."""
        showing = asyncio.create_task(self._go_on_showing())
        try:
            async for frame in self._ws:
                await self._answer(frame)
        finally:
            showing.cancel()
            await asyncio.wait([showing])

    async def _go_on_showing(self) -> None:
        """Show it every second, and at once where the view has changed. A page that reads slowly is shown less."""
        with contextlib.suppress(Disconnected):
            while True:
                self._changed.clear()
                try:
                    await self._show()
                except (BrokerUnavailable, RoomsClosed) as error:
                    await self._ws.send(wire.trouble(str(error)))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), EVERY)

    async def _show(self) -> None:
        view = self._view
        findings = await self._survey.findings()
        # Of ten thousands of rooms this takes milliseconds, which are others' meanwhile.
        matching, page = await asyncio.to_thread(findings.page, view.search, view.offset, wire.ROOMS_A_PAGE)
        room = None
        if view.room is not None:
            members = await self._survey.members(view.room)
            room = wire.room_state(view, findings.rooms.get(view.room, 0), members)
        await self._ws.send(wire.state(findings, view, matching, page, room))

    async def _answer(self, frame: str | bytes) -> None:
        number = 0
        try:
            asked, number = wire.read(frame)
            match asked:
                case wire.View():
                    self._view = asked
                    self._changed.set()
                case wire.Token():
                    return
                case _:
                    # A warning, so that it is written down whatever the app does about logging.
                    logger.warning("the operator at %r: %r", self._address, asked)
                    await self._ws.send(wire.done(number, await self._do(asked)))
                    self._changed.set()
        except Disconnected:
            raise
        except (RoomcastError, ValueError) as error:
            await self._ws.send(wire.failed(number, str(error)))

    async def _do(self, action: wire.Action) -> str:
        """Do what was asked for, and say what was done."""
        rooms = self._rooms
        match action:
            case wire.Disconnect(user=user, reason=reason):
                await rooms.disconnect(user, reason=reason)
                return "All connections of the user are closed."
            case wire.Remove(room=room, member=member, reason=reason):
                await rooms.remove(room, member, reason=reason)
                return "The connection is closed."
            case wire.CloseRoom(room=room, reason=reason):
                await rooms.close(room, reason=reason or "the room was closed")
                return "The room is closed."
            case wire.Notice(room=str(room), text=text):
                await rooms.publish(room, self._write_notice(text), keep=False)
                return "The notice is published."
            case wire.Notice(text=text):
                return await self._tell_all(self._write_notice(text))

    async def _tell_all(self, notice: Any) -> str:  # noqa: ANN401 - whatever the app publishes
        """Publish a notice in all rooms, some at a time, and say how many these were."""
        rooms = tuple(await self._rooms.active())
        for begin in range(0, len(rooms), AT_A_TIME):
            some = rooms[begin : begin + AT_A_TIME]
            try:
                await asyncio.gather(*(self._rooms.publish(room, notice, keep=False) for room in some))
            except BrokerUnavailable as error:
                raise BrokerUnavailable(
                    f"{error}; of {len(rooms):,} rooms {begin:,} have it, and some of the next {len(some):,}"
                ) from error
        return f"The notice is published in all rooms, {len(rooms):,} now."
