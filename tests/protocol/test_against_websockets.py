"""The parser held against an independent one: that of the `websockets` library."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side
from websockets.protocol import State as TheirState

from roomcast.errors import ProtocolError
from roomcast.protocol.connection import Connection
from roomcast.protocol.deflate import DeflateParameters
from roomcast.protocol.events import Close, Ping, Pong
from roomcast.protocol.sending import Role
from tests.protocol.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, chopped, events_of, frame

LIMIT = 100_000


def theirs(side: Side, stream: bytes) -> tuple[list[object], int | None]:
    """What `websockets` makes of a stream: its messages, and the code that it fails or closes with."""
    protocol = Protocol(side, state=TheirState.OPEN, max_size=LIMIT)
    protocol.receive_data(stream)
    found: list[object] = []
    parts: list[bytes] = []
    text = False
    for received in protocol.events_received():
        assert isinstance(received, Frame)
        if received.opcode in (Opcode.PING, Opcode.PONG):
            kind = Ping if received.opcode is Opcode.PING else Pong
            found.append(kind(bytes(received.data)))
        elif received.opcode is Opcode.CLOSE:
            pass
        else:
            if received.opcode is not Opcode.CONT:
                parts, text = [], received.opcode is Opcode.TEXT
            parts.append(bytes(received.data))
            if received.fin:
                payload = b"".join(parts)
                try:
                    found.append(payload.decode() if text else payload)
                except UnicodeDecodeError:
                    # Its callers decode, and fail the connection where they cannot.
                    return found, 1007
    # It does not take a close frame within a fragmented message, where RFC 6455 has no such rule.
    if protocol.parser_exc is not None and protocol.close_rcvd is None:
        assert protocol.close_sent is not None
        return found, int(protocol.close_sent.code)
    return found, None if protocol.close_rcvd is None else int(protocol.close_rcvd.code)


def ours(role: Role, stream: bytes) -> tuple[list[object], int | None, str]:
    events = Connection(role, max_message_size=LIMIT).receive_data(stream)
    if events and isinstance(events[-1], Close | ProtocolError):
        return list(events[:-1]), events[-1].code, events[-1].reason
    return list(events), None, ""


def written(chance: random.Random, masked: bool) -> bytes:
    """Write a valid stream."""
    stream = b""

    def add(opcode: int, payload: bytes, *, fin: bool = True) -> None:
        nonlocal stream
        stream += frame(opcode, payload, fin=fin, key=chance.randbytes(4) if masked else None)

    for _ in range(chance.randrange(6)):
        text = chance.random() < 0.5
        size = chance.choice([0, 1, 5, 60, 125, 126, 300, 2000])
        payload = ("aé😀\0"[chance.randrange(4)] * size).encode()[:LIMIT] if text else chance.randbytes(size)
        if text:
            payload = payload.decode(errors="ignore").encode()
        cuts = sorted(chance.randrange(len(payload) + 1) for _ in range(chance.choice([0, 0, 0, 1, 3])))
        pieces = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for number, piece in enumerate(pieces):
            opcode = CONTINUATION if number else TEXT if text else BINARY
            add(opcode, piece, fin=number == len(pieces) - 1)
            if chance.random() < 0.2:
                add(chance.choice([PING, PONG]), chance.randbytes(chance.choice([0, 4, 125])))
    if chance.random() < 0.3:
        add(CLOSE, chance.choice([b"", b"\x03\xe8", b"\x0f\xa0why", b"\x03", b"\x03\xed", b"\x03\xe8\xff"]))
    return stream


def mutated(chance: random.Random, stream: bytes) -> bytes:
    data = bytearray(stream)
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(4)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.choice([1, 4]))
        else:
            del data[at : at + chance.choice([1, 4, 100])]
    return bytes(data)


@given(st.integers(0, 2**64), st.booleans())
def test_valid_streams_mean_the_same(seed: int, server: bool) -> None:
    stream = written(random.Random(seed), masked=server)
    our_messages, our_code, _ = ours(Role(not server), stream)
    assert (our_messages, our_code) == theirs(Side.SERVER if server else Side.CLIENT, stream)


@given(st.integers(0, 2**64), st.booleans())
def test_mutated_streams_mean_the_same(seed: int, server: bool) -> None:
    chance = random.Random(seed)
    stream = mutated(chance, written(chance, masked=server))
    our_messages, our_code, reason = ours(Role(not server), stream)
    side = Side.SERVER if server else Side.CLIENT
    their_messages, their_code = theirs(side, stream)
    if our_code is not None and their_code is None:
        # Ours fails a frame by its header or its first bad byte; theirs, when it has all of the frame.
        their_messages, their_code = theirs(side, stream + bytes(LIMIT))
    if our_code == 1007 or reason.startswith("a length of"):
        # And theirs decodes a text when it has all of the message, and takes lengths in any form.
        assert their_messages[: len(our_messages)] == our_messages
    elif our_code == 1002 and their_code in (1007, 1009):
        # A frame that is wrong in two ways may be failed for either.
        assert our_messages == their_messages
    else:
        assert (our_messages, our_code) == (their_messages, their_code)


@pytest.mark.parametrize("takeover", [False, True])
@given(
    st.lists(st.text(max_size=300) | st.integers(128, 2000).map(lambda n: "ab" * n), max_size=5),
    st.integers(9, 15),
)
def test_deflated_messages_mean_the_same_both_ways(takeover: bool, texts: list[str], window_bits: int) -> None:
    parameters = DeflateParameters(not takeover, not takeover, window_bits, window_bits)
    server = Connection(Role.SERVER, deflate=parameters)
    extension = PerMessageDeflate(not takeover, not takeover, window_bits, window_bits)
    client = Protocol(Side.CLIENT, state=TheirState.OPEN)
    client.extensions = [extension]
    for text in texts:
        client.receive_data(server.send_text(text))
        (received,) = client.events_received()
        assert isinstance(received, Frame)
        assert bytes(received.data).decode() == text
        client.send_text(text.encode())
        assert events_of(server, chopped(b"".join(client.data_to_send()), 1)) == [text]
