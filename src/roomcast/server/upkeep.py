"""Upkeep: what all connections of one server share on an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from roomcast.lag import measure
from roomcast.server.draining import Drain
from roomcast.server.keepalive import Deadlines, Keepalive, Timer
from roomcast.server.outbox import flusher_of
from roomcast.server.waiting import Waiting

if TYPE_CHECKING:
    import asyncio

    from roomcast.server.session import Session
    from roomcast.server.settings import Settings
    from roomcast.server.wire import Wire

ANSWER_TIMEOUT = 1.0
"""How many seconds the answer to a close, or an error, waits for the app to answer what came before."""


class Closing(Protocol):
    """A connection that this side has ended."""

    def closing_is_late(self) -> None:
        """Close it: the peer did not."""


class Upkeep:
    """Writes, pings and deadlines of a server's connections.

    Args:
        loop: the event loop.
        settings: the limits and deadlines.
        ping_interval: how many seconds lie between two pings; None for no pings.
        ping_timeout: how many seconds a peer may be silent after a ping; None for any length.
        drain: how many seconds the server takes when it goes; None for what the settings say.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        *,
        ping_interval: float | None,
        ping_timeout: float | None,
        drain: float | None = None,
    ) -> None:
        self.loop = loop
        self.settings = settings
        self.timer = Timer(loop)
        self.flusher = flusher_of(loop)
        self.keepalive = Keepalive(self.timer, ping_interval, ping_timeout)
        self.waiting = Waiting(self.timer, settings.request_timeout, settings.max_waiting)
        self.messages = Deadlines["Wire"](self.timer, settings.message_timeout, _message_is_late)
        self.openings = Deadlines["Session"](self.timer, settings.handshake_timeout, _opening_is_late)
        self.answers = Deadlines["Session"](self.timer, ANSWER_TIMEOUT, _answer_is_late)
        self.closings = Deadlines["Closing"](self.timer, settings.close_timeout, _closing_is_late)
        self.drain = Drain(loop, settings.drain if drain is None else drain)
        measure(loop)
        self._server: tuple[str, int | None] | None = None

    def shared(self, server: tuple[str, int | None] | None) -> tuple[str, int | None] | None:
        """Give the same object for the same address of the server, which mostly has one."""
        if server != self._server:
            self._server = server
        return self._server


def _message_is_late(wire: Wire) -> None:
    wire.message_is_late()


def _opening_is_late(session: Session) -> None:
    session.opening_is_late()


def _answer_is_late(session: Session) -> None:
    session.answer_is_late()


def _closing_is_late(connection: Closing) -> None:
    connection.closing_is_late()
