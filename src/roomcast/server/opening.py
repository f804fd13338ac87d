"""Opening: the time between a request for a WebSocket and the app's answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import tracing
from roomcast.close_codes import CloseCode
from roomcast.protocol.connection import Connection
from roomcast.protocol.handshake import Refusal, denial_head
from roomcast.protocol.sending import Role
from roomcast.server.events import body_of, headers_of, misplaced, status_of, subprotocol_of
from roomcast.server.settings import UNLIMITED
from roomcast.tally import tally

if TYPE_CHECKING:
    from roomcast.protocol.handshake import ServerHandshake
    from roomcast.server.session import Session
    from roomcast.server.upkeep import Upkeep

MAX_EARLY_BYTES = 64 * 1024
"""How much a client may send before its handshake is answered; by RFC 6455 it sends nothing."""


class Opening:
    """Lets the app accept a handshake, or refuse it with a response of its own or of the server's.

    Args:
        session: what is opened.
        handshake: what the client asked for.
        upkeep: the limits, and the deadline.
        max_message_size: the most bytes in a message, or None.
        scope: what the app is called with.
    """

    def __init__(
        self,
        session: Session,
        handshake: ServerHandshake,
        upkeep: Upkeep,
        max_message_size: int | None,
        scope: dict[str, Any],
    ) -> None:
        self._session = session
        self._handshake = handshake
        self._upkeep = upkeep
        self._max_message_size = max_message_size
        self._denial_status = 0
        self._denial_head: bytes | None = None
        self._denying = False
        self._is_answered = False
        self._early = b""
        self._span = tracing.HandshakeSpan(scope) if tracing.is_on() else None
        upkeep.openings.add(session)

    def receive_early(self, data: bytes) -> bool:
        """Keep what the client sends too early, and say whether it is still little enough."""
        self._early += data
        return len(self._early) <= MAX_EARLY_BYTES

    def send(self, event: dict[str, Any]) -> None:
        """Do what an ASGI event says.

        Raises:
            InvalidEvent: for an unknown or malformed event, or one that does not fit.
            HandshakeError: for an answer that cannot be given.
        """
        kind = event.get("type")
        if self._denying:
            if kind != "websocket.http.response.body":
                raise misplaced(event, "denying")
            self._continue_denial(event)
        elif kind == "websocket.accept":
            self._accept(event)
        elif kind == "websocket.close":
            self.refuse(403, "Forbidden")
        elif kind == "websocket.http.response.start":
            self._begin_denial(event)
        else:
            raise misplaced(event, "asked")

    def refuse(self, status: int, text: str, code: int = CloseCode.ABNORMAL) -> None:
        """Refuse the handshake; a refusal of the app's that is on the wire ends there. The app is told `code`."""
        session = self._session
        if not self._is_answered:
            self._answered(status)
            session.write(Refusal(status, text, tuple(session.response_headers())).response())
        self._end(code)

    def abandon(self) -> None:
        """The connection is over; where there was no answer, the client has gone before it."""
        if not self._is_answered:
            self._count("abandoned", 0)

    def _answered(self, status: int) -> None:
        if status == 101:
            self._count("accepted", status)
        elif self._upkeep.drain.is_on and status == 503:
            self._count("draining", status)
        else:
            self._count("refused" if status < 500 else "failed", status)
        self._session.answered(status)

    def _count(self, result: str, status: int) -> None:
        self._is_answered = True
        tally.handshakes[result] += 1
        if self._span is not None:
            self._span.end(status)

    def _accept(self, event: dict[str, Any]) -> None:
        session, settings = self._session, self._upkeep.settings
        agreement = session.agree_on_deflate(self._handshake)
        response = self._handshake.response(
            subprotocol=subprotocol_of(event),
            deflate=agreement,
            headers=headers_of(event),
            server_headers=session.response_headers(),
        )
        connection = Connection(
            Role.SERVER,
            max_message_size=self._max_message_size,
            max_fragments=settings.max_fragments or UNLIMITED,
            max_control_frames=settings.max_control_frames or UNLIMITED,
            clock=self._upkeep.timer.now,
            deflate=None if agreement is None else agreement.parameters,
        )
        self._upkeep.openings.discard(session)
        session.write(response)
        self._answered(101)
        session.open(connection, may_be_deflated=agreement is not None)
        if self._early:
            session.data_received(self._early)

    def _begin_denial(self, event: dict[str, Any]) -> None:
        self._denial_status = status_of(event)
        headers = self._session.response_headers() + headers_of(event)
        self._denial_head = denial_head(self._denial_status, headers)
        self._denying = True

    def _continue_denial(self, event: dict[str, Any]) -> None:
        body = body_of(event)
        if self._denial_head is not None:
            self._answered(self._denial_status)
            body = self._denial_head + body
            self._denial_head = None
        self._session.write(body)
        if not event.get("more_body", False):
            self._end(CloseCode.ABNORMAL)

    def _end(self, code: int) -> None:
        self._upkeep.openings.discard(self._session)
        self._session.become_over(code, "")
        self._session.close_transport()
