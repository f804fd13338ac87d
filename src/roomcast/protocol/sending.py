"""The writing half of a connection: what it sends, and whether it still may (RFC 6455, sections 5 and 7)."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from roomcast.close_codes import CloseCode
from roomcast.errors import OutOfOrder, UnsupportedData
from roomcast.protocol.closing import close_payload
from roomcast.protocol.events import Close
from roomcast.protocol.frames import RSV1, client_frame, server_frame, text_frame
from roomcast.protocol.utf8 import encoded

if TYPE_CHECKING:
    from roomcast.protocol.deflate import DeflateParameters, Deflater
    from roomcast.protocol.prepared import PreparedMessage

# First bytes of frames: FIN and the opcode.
_TEXT = 0x81
_BINARY = 0x82
_CLOSE = 0x88
_PING = 0x89
_PONG = 0x8A


class Role(IntEnum):
    """Which side of the connection this is."""

    SERVER = 0
    CLIENT = 1


class Sender:
    """The writing half of a connection. It writes nothing: it returns the bytes to write.

    Args:
        role: SERVER or CLIENT.
        deflate: what the handshake agreed on; None for no compression.
    """

    __slots__ = (
        "_close_reply",
        "_close_sent",
        "_deflate",
        "_deflater",
        "_mask_bit",
        "_replies",
        "_sending_ended",
    )

    def __init__(self, role: Role, deflate: DeflateParameters | None) -> None:
        # The mask bit in what comes: a server reads masked frames and sends unmasked ones, a client the other
        # way round (section 5.1).
        self._mask_bit = 0 if role == Role.CLIENT else 0x80
        self._deflate = deflate
        self._deflater: Deflater | None = None
        if deflate is not None:
            self._deflater = deflate.deflater(is_client=role == Role.CLIENT)
        self._replies: list[bytes] | None = None
        self._sending_ended = False
        self._close_sent: Close | None = None
        self._close_reply: Close | None = None

    @property
    def close_sent(self) -> Close | None:
        """The close frame that this side sent, None before."""
        return self._close_sent

    def has_replies(self) -> bool:
        """Say whether `data_to_send` has anything."""
        return self._replies is not None

    def data_to_send(self) -> bytes:
        """Return what the protocol has to say to what came, once; b"" where there is nothing, as mostly.

        A close frame among it is what ends the sending: until it is taken, the messages that came before the
        peer's close frame, or before its error, can still be answered.
        """
        if self._replies is None:
            return b""
        replies = b"".join(self._replies)
        self._replies = None
        if self._close_reply is not None:
            self._sending_ended = True
            self._close_sent = self._close_reply
        return replies

    def send_text(self, text: str) -> bytes:
        """Return the bytes that send a text message.

        Raises:
            OutOfOrder: the connection is closing, or closed.
            UnsupportedData: the text has a lone surrogate, which UTF-8 has no bytes for.
        """
        if self._sending_ended:
            raise self._ended("a text message")
        if self._mask_bit and self._deflater is None:
            return text_frame(text)
        return self._message_frame(_TEXT, encoded(text))

    def send_bytes(self, payload: bytes) -> bytes:
        """Return the bytes that send a binary message.

        Args:
            payload: the message; `bytes` and no other buffer.

        Raises:
            OutOfOrder: the connection is closing, or closed.
        """
        if self._sending_ended:
            raise self._ended("a binary message")
        return self._message_frame(_BINARY, payload)

    def send_prepared(self, message: PreparedMessage) -> bytes:
        """Return the bytes that send a message made for many.

        Raises:
            OutOfOrder: the connection is closing, or closed.
        """
        if self._sending_ended:
            raise self._ended("a message")
        if not self._mask_bit:
            return self._message_frame(_TEXT if message.is_text else _BINARY, message.payload)
        if self._deflate is None or self._deflater is None:
            return message.frame()
        self._deflater.forget()
        return message.deflated_frame(self._deflate)

    def send_ping(self, payload: bytes = b"") -> bytes:
        """Return the bytes that send a ping.

        Args:
            payload: what the pong is to carry back, at most 125 bytes.

        Raises:
            OutOfOrder: the connection is closing, or closed.
            UnsupportedData: the payload is longer.
        """
        return self._control_frame(_PING, payload, "a ping")

    def send_pong(self, payload: bytes = b"") -> bytes:
        """Return the bytes that send a pong that no ping asked for: a heartbeat one way (section 5.5.3).

        Pings are answered without this.

        Args:
            payload: at most 125 bytes.

        Raises:
            OutOfOrder: the connection is closing, or closed.
            UnsupportedData: the payload is longer.
        """
        return self._control_frame(_PONG, payload, "a pong")

    def send_close(self, code: int | None = CloseCode.NORMAL, reason: str = "") -> bytes:
        """Return the bytes that begin the closing handshake; b"" where one was sent already.

        Messages that the peer sent before its own close frame still come. Close the TCP connection when
        the `state` is CLOSED, or when you have waited long enough for that.

        Args:
            code: the close code; None for a close frame without one.
            reason: at most 123 bytes of UTF-8.

        Raises:
            InvalidClose: the code may not be sent, or the reason is too long, or has no code to go with.
        """
        payload = close_payload(code, reason)
        if self._sending_ended or self._close_reply is not None:
            return b""
        self._sending_ended = True
        self._close_sent = Close(CloseCode.NO_STATUS if code is None else code, reason)
        return self._frame(_CLOSE, payload)

    def _reply(self, frame: bytes) -> None:
        if self._replies is None:
            self._replies = []
        self._replies.append(frame)

    def _reply_close(self, payload: bytes, close: Close) -> None:
        if not self._sending_ended:
            self._close_reply = close
            self._reply(self._frame(_CLOSE, payload))

    def _message_frame(self, first: int, payload: bytes) -> bytes:
        if self._deflater is not None:
            deflated = self._deflater.deflate(payload)
            if deflated is not None:
                return self._frame(first | RSV1, deflated)
        return self._frame(first, payload)

    def _control_frame(self, first: int, payload: bytes, what: str) -> bytes:
        if self._sending_ended:
            raise self._ended(what)
        if len(payload) > 125:
            raise UnsupportedData(f"{what} with {len(payload)} bytes: at most 125 fit (RFC 6455, section 5.5)")
        return self._frame(first, payload)

    def _frame(self, first: int, payload: bytes) -> bytes:
        return server_frame(first, payload) if self._mask_bit else client_frame(first, payload)

    def _ended(self, what: str) -> OutOfOrder:
        sent = self._close_sent
        why = "it was lost" if sent is None else f"a close frame with code {sent.code} was sent"
        return OutOfOrder(f"{what} cannot be sent: the connection is over, {why}")
