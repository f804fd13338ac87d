"""One WebSocket connection after its handshake, as a state machine (RFC 6455, sections 5 to 7).

Bytes from the peer go into `receive_data`, which returns what they mean: messages as `str` and `bytes`, and
`Ping`, `Pong`, `Close` or a `ProtocolError` for the rest. The last event of a connection is always a `Close`
or a `ProtocolError`. What the protocol itself has to say to that (a pong, a close frame) waits in
`data_to_send`. The `send_*` methods return the bytes to write; they write nothing.

What comes is read in one of three ways. Between frames, a short message that is whole in one frame takes a
path of its own, since nearly all of them are that; every other frame takes the long one. Within the payload
of a data frame, what comes goes on to the `IncomingMessage` as it comes. After a close frame or an error
nothing is read. The start of a header, or of a control frame, is kept until the rest is here: that is never
over 130 bytes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from roomcast.close_codes import CloseCode
from roomcast.errors import InvalidFrame, MessageTooBig, ProtocolError, TooManyFrames
from roomcast.protocol.closing import close_payload, read_close_payload
from roomcast.protocol.events import Close, Event, Ping, Pong
from roomcast.protocol.frames import FIN, RSV1, Opcode, read_header
from roomcast.protocol.long_frame import LongFrame
from roomcast.protocol.masking import mask, unmask_text
from roomcast.protocol.message import IncomingMessage
from roomcast.protocol.sending import Role, Sender
from roomcast.protocol.utf8 import invalid_text

if TYPE_CHECKING:
    from collections.abc import Callable

    import cython

    from roomcast.protocol.deflate import DeflateParameters, Inflater
else:
    from roomcast.protocol import interpreted as cython

COMPILED: bool = cython.compiled

DEFAULT_MAX_MESSAGE_SIZE = 16 * 1024 * 1024
"""The most bytes in one message, unless told otherwise."""
DEFAULT_MAX_FRAGMENTS = 128 * 1024
"""The most frames in one message, unless told otherwise."""
DEFAULT_MAX_CONTROL_FRAMES = 100
"""The most pings, pongs and tiny fragments to read in a second, unless told otherwise."""

# Far enough from the largest number that C has, so that what is added to it still fits.
_NO_LIMIT = 1 << 62

# First bytes of frames: FIN and the opcode.
_TEXT = 0x81
_CLOSE = 0x88
_PONG = 0x8A

# A fragment of fewer bytes, unless it is a message's last, counts as a control frame does.
_TINY = 32

# What `receive_data` is in the middle of.
_BETWEEN_FRAMES = 0
_IN_HEADER = 1
_IN_PAYLOAD = 2
_AT_END = 3


class State(IntEnum):
    """How far the closing handshake is (RFC 6455, section 7.1)."""

    OPEN = 0
    """Neither side has sent a close frame."""
    CLOSING = 1
    """This side has sent its close frame, and the peer's has not come."""
    CLOSED = 2
    """Both close frames were exchanged, or there will be none: close the TCP connection."""


class Connection(Sender):
    """The protocol of one connection.

        connection = Connection(Role.SERVER)
        for event in connection.receive_data(data):
            if isinstance(event, str):
                write(connection.send_text(event))
        write(connection.data_to_send())

    Args:
        role: SERVER or CLIENT.
        max_message_size: the most bytes in one message, text as UTF-8, inflated; None for no limit. A message
            over it is refused as soon as its header says so, with 1009.
        max_fragments: the most frames in one message.
        max_control_frames: the most pings, pongs and fragments of under 32 bytes in a second, by `clock`. One more
            is answered with 1008.
        clock: returns seconds that never go back, such as `loop.time`. It is asked on those frames only. None:
            they are not counted.
        deflate: what the handshake agreed on; None for no compression.

    Attributes:
        error: what the peer did wrong, None while it did nothing wrong.
        fragments: how many frames have come of messages that did not come whole; the caller's to set back.
    """

    __slots__ = (
        "_clock",
        "_close_received",
        "_control_frames",
        "_control_since",
        "_final",
        "_frame_start",
        "_header_size",
        "_inflater",
        "_kept",
        "_key",
        "_max_control_frames",
        "_max_fragments",
        "_max_message_size",
        "_message",
        "_phase",
        "_read",
        "_remaining",
        "error",
        "fragments",
    )

    def __init__(
        self,
        role: Role,
        *,
        max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
        max_fragments: int = DEFAULT_MAX_FRAGMENTS,
        max_control_frames: int = DEFAULT_MAX_CONTROL_FRAMES,
        clock: Callable[[], float] | None = None,
        deflate: DeflateParameters | None = None,
    ) -> None:
        super().__init__(role, deflate)
        self._header_size = 2 if role == Role.CLIENT else 6
        self._max_message_size = _NO_LIMIT if max_message_size is None else max_message_size
        self._max_fragments = max_fragments
        self._max_control_frames = max_control_frames
        self._clock = clock
        self._control_since = 0.0
        self._control_frames = 0
        self._inflater: Inflater | None = None
        if deflate is not None:
            self._inflater = deflate.inflater(is_client=role == Role.CLIENT)
        self._phase = _BETWEEN_FRAMES
        self._read = 0
        self._kept = b""
        self._frame_start = 0
        self._final = False
        self._key = b""
        self._remaining = 0
        self._message: IncomingMessage | None = None
        self._close_received: Close | None = None
        self.error: ProtocolError | None = None
        self.fragments = 0

    @property
    def state(self) -> State:
        """How far the closing handshake is."""
        if self._phase == _AT_END:
            return State.CLOSED
        return State.CLOSING if self._sending_ended else State.OPEN

    @property
    def close_received(self) -> Close | None:
        """The peer's close frame, or one with code 1006 where the connection ended without; None before."""
        return self._close_received

    def receive_data(self, data: bytes) -> list[Event]:
        """Read what came from the peer, cut anywhere.

        Never raises for what the peer sent. What came before a frame at fault is reported, and was answered;
        then follows a `ProtocolError`, and nothing after it. Look for `data_to_send` afterwards.

        Args:
            data: what came; `bytes` and no other buffer.

        Returns:
            The messages, as `str` and `bytes`, and other events, in the order they came; often none.
        """
        events: list[Event] = []
        if self._phase == _AT_END:
            return events
        if self._phase == _IN_HEADER:
            data = self._kept + data
            self._kept = b""
            self._phase = _BETWEEN_FRAMES
        source = data
        end = len(data)
        position = 0
        try:
            if self._phase == _IN_PAYLOAD and self._message is not None:
                position = self._receive_payload(self._message, data, 0, events)
            while end - position >= 2:
                first = source[position]
                length = source[position + 1] ^ self._mask_bit
                start = position + self._header_size
                stop = start + length
                if (
                    length < 126
                    and stop <= end
                    and first in (0x81, 0x82)
                    and self._message is None
                    and length <= self._max_message_size
                ):
                    events.append(self._message_at(first, data, start, stop))
                    position = stop
                    continue
                after = self._receive_frame(data, position, end, events)
                if after < 0:
                    break
                position = after
        except ProtocolError as error:
            self._fail(error, position, events)
        except UnicodeDecodeError as error:
            self._fail(invalid_text(error), position, events)
        if position < end and self._phase == _BETWEEN_FRAMES:
            self._kept = data[position:]
            self._phase = _IN_HEADER
        self._read += position
        return events

    def receive_eof(self) -> list[Event]:
        """The TCP connection is over; nothing can come or be sent.

        Returns:
            A `Close` with code 1006 where it ended before its closing handshake, else nothing.
        """
        if self._phase == _AT_END:
            return []
        self._end()
        self._sending_ended = True
        self._close_received = Close(CloseCode.ABNORMAL, "")
        return [self._close_received]

    def is_within_message(self) -> bool:
        """Whether a frame or a message has begun to come, and its end has not."""
        return self._phase in (_IN_HEADER, _IN_PAYLOAD) or self._message is not None

    def fail(self, error: ProtocolError) -> None:
        """Fail the connection for what its bytes alone do not show: nothing is read any more.

        The close frame with the error's code is in `data_to_send`.
        """
        if self._phase != _AT_END:
            self._end()
            self.error = error
            self._reply_close(close_payload(error.code, error.reason), Close(error.code, error.reason))

    def _receive_frame(self, data: bytes, position: int, end: int, events: list[Event]) -> int:
        """Read the frame at `position`; return where it stops, or -1 where it has to wait for its rest."""
        header = read_header(data, position, end, self._mask_bit)
        if header is None:
            return -1
        first = header.first
        start = header.start
        length = header.length
        if not first & 0x08:
            self._check_order_and_size(first, length)
        if start > end:
            return -1
        stop = start + length
        if length < _TINY and not first & FIN:
            self._count_control_frame()  # says as little, and costs as much
        if first & 0x08:
            if stop > end:
                return -1
            self._receive_control(first, self._unmasked(data, start, stop), events)
            return end if self._phase == _AT_END else stop
        message = self._message
        if message is None:
            if stop <= end and first & FIN:
                events.append(self._message_at(first, data, start, stop))
                return stop
            message = self._begin_message(first, length)
            self._message = message
        message.begin_fragment()
        self.fragments += 1
        self._final = first & FIN != 0
        self._key = data[start - 4 : start] if self._mask_bit else b""
        self._remaining = length
        self._frame_start = self._read + position
        self._phase = _IN_PAYLOAD
        return self._receive_payload(message, data, start, events)

    def _begin_message(self, first: int, length: int) -> IncomingMessage:
        is_text = first & 0x0F == Opcode.TEXT
        if COMPILED and first & FIN and not first & RSV1:
            return LongFrame(is_text, length)
        inflater = self._inflater if first & RSV1 else None
        return IncomingMessage(is_text, inflater, self._max_message_size, self._max_fragments)

    def _check_order_and_size(self, first: int, length: int) -> None:
        """Check a data frame against what came before it, and its message against the limit."""
        message = self._message
        deflated = first & RSV1 != 0
        room = self._max_message_size
        if first & 0x0F == Opcode.CONTINUATION:
            if message is None:
                raise InvalidFrame("a continuation frame without a message to continue")
            if deflated:
                raise InvalidFrame("a continuation frame with RSV1 set, which is for a message's first frame")
            deflated = message.is_deflated
            if not deflated:
                room -= message.size
        elif message is not None:
            raise InvalidFrame("a new message within a fragmented one")
        elif deflated and self._inflater is None:
            raise InvalidFrame("a deflated message, though no compression was agreed on")
        if deflated:
            # What does not deflate gets a little longer by it: so much may still inflate to the limit.
            room += 64 + (room >> 3)
        if length > room:
            raise MessageTooBig(f"a message of over {self._max_message_size} bytes")

    def _receive_payload(self, message: IncomingMessage, data: bytes, start: int, events: list[Event]) -> int:
        """Read on in the payload of a data frame at `start`; return where it stops in `data`."""
        stop = min(len(data), start + self._remaining)
        message.feed(data, start, stop, self._key)
        self._remaining -= stop - start
        if self._remaining:
            turned = stop - start & 3
            self._key = (self._key * 2)[turned : turned + 4]
            return stop
        if self._final:
            events.append(message.finish())
            self._message = None
        self._phase = _BETWEEN_FRAMES
        return stop

    def _receive_control(self, first: int, payload: bytes, events: list[Event]) -> None:
        """Take a ping, a pong or a close frame, and answer it (sections 5.5.1 to 5.5.3)."""
        if first == _CLOSE:
            code, reason = read_close_payload(payload)
            self._close_received = Close(code, reason)
            self._end()
            events.append(self._close_received)
            # The answer says the same (section 5.5.1): pages see the reason of the frame that they get.
            self._reply_close(payload, self._close_received)
            return
        self._count_control_frame()
        if first == _PONG:
            events.append(Pong(payload))
            return
        events.append(Ping(payload))
        if not self._sending_ended:
            self._reply(self._frame(_PONG, payload))

    def _count_control_frame(self) -> None:
        if self._clock is None:
            return
        now = self._clock()
        if now - self._control_since >= 1:
            self._control_since = now
            self._control_frames = 0
        self._control_frames += 1
        if self._control_frames > self._max_control_frames:
            raise TooManyFrames(f"over {self._max_control_frames} control frames or tiny fragments in a second")

    def _fail(self, error: ProtocolError, position: int, events: list[Event]) -> None:
        """Fail the connection (section 7.1.7): report the error, and have the close frame ready."""
        # Its traceback leads to what was read, such as a bomb, and back to this: only the garbage collector would
        # free that.
        error.__traceback__ = error.__context__ = None
        error.position = self._frame_start if self._phase == _IN_PAYLOAD else self._read + position
        self.error = error
        self._end()
        events.append(error)
        self._reply_close(close_payload(error.code, error.reason), Close(error.code, error.reason))

    def _end(self) -> None:
        """Read nothing any more, and hold nothing for it."""
        self._phase = _AT_END
        self._message = None
        self._inflater = None
        self._kept = b""

    def _message_at(self, first: int, data: bytes, start: int, stop: int) -> str | bytes:
        """Return the message that is whole in one frame."""
        if first == _TEXT and self._mask_bit:
            return unmask_text(data, start, stop)
        payload = self._unmasked(data, start, stop)
        if first & RSV1 and self._inflater is not None:
            payload = self._inflater.inflate_whole(payload, self._max_message_size)
        return payload.decode() if first & 0x0F == Opcode.TEXT else payload

    def _unmasked(self, data: bytes, start: int, stop: int) -> bytes:
        return mask(data, start, stop) if self._mask_bit else data[start:stop]
