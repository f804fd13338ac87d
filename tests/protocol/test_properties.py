"""What holds for every stream, however it is cut and whatever is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.errors import ProtocolError
from roomcast.protocol.connection import Connection
from roomcast.protocol.deflate import DeflateParameters
from roomcast.protocol.events import Close
from roomcast.protocol.sending import Role
from tests.protocol.wire import CLOSE, CONTINUATION, PING, PONG, chopped, events_of, frame, plain

PARAMETERS = st.builds(DeflateParameters, st.booleans(), st.booleans(), st.integers(8, 15), st.integers(8, 15))
MESSAGES = st.text(max_size=20) | st.binary(max_size=20) | st.integers(100, 3000).map(lambda n: "aé" * n)
SEEDS = st.none() | st.integers(0, 2**32)

FRAMES = st.builds(
    frame,
    st.sampled_from([0, 1, 2, 8, 9, 10, 1, 2, 1, 0]) | st.integers(0, 15),
    st.text(max_size=50).map(str.encode)
    | st.binary(max_size=140)
    | st.integers(120, 140).map(lambda size: b"a" * size)
    | st.sampled_from([b"\x03\xe8", b"\x03", b"\x03\xed", bytes.fromhex("f248cdc9c90700")]),
    fin=st.sampled_from([True, True, False]),
    rsv=st.sampled_from([0, 0, 0, 0, 4, 4, 2]),
    key=st.sampled_from([b"\x01\x02\x03\x04", b"\xff\x00\xff\x00", b"\x01\x02\x03\x04", None]),
)
STREAMS = st.lists(FRAMES, max_size=8).map(b"".join) | st.binary(max_size=60)


@given(
    STREAMS,
    SEEDS,
    st.none() | PARAMETERS,
    st.sampled_from([Role.SERVER, Role.CLIENT]),
    st.sampled_from([20, 10_000]),
)
def test_a_stream_means_the_same_however_it_is_cut(
    stream: bytes, seed: int | None, deflate: DeflateParameters | None, role: Role, limit: int
) -> None:
    whole = Connection(role, max_message_size=limit, deflate=deflate)
    cut = Connection(role, max_message_size=limit, deflate=deflate)
    deflated = deflate is not None
    expected = plain(whole.receive_data(stream), deflated=deflated)
    assert plain(events_of(cut, chopped(stream, seed)), deflated=deflated) == expected
    if role is Role.SERVER and not deflated:
        assert cut.data_to_send() == whole.data_to_send()
    assert cut.state == whole.state
    assert plain(cut.receive_eof()) == plain(whole.receive_eof())


@given(st.lists(MESSAGES, max_size=6), SEEDS, st.none() | PARAMETERS, st.sampled_from([Role.SERVER, Role.CLIENT]))
def test_what_is_sent_is_received(
    messages: list[str | bytes], seed: int | None, deflate: DeflateParameters | None, role: Role
) -> None:
    sender = Connection(role, deflate=deflate)
    receiver = Connection(Role.CLIENT if role is Role.SERVER else Role.SERVER, deflate=deflate)
    stream = b"".join(
        sender.send_text(message) if isinstance(message, str) else sender.send_bytes(message)
        for message in messages
    )
    stream += sender.send_close(3000, "done")
    assert events_of(receiver, chopped(stream, seed)) == [*messages, Close(3000, "done")]
    assert sender.receive_data(receiver.data_to_send()) == [Close(3000, "done")]


@given(
    st.lists(st.tuples(MESSAGES, st.integers(1, 40), st.booleans()), max_size=4),
    SEEDS,
    st.sampled_from([None, DeflateParameters(), DeflateParameters(False, False, 9, 9)]),
)
def test_messages_may_be_fragmented_anywhere(
    messages: list[tuple[str | bytes, int, bool]], seed: int | None, deflate: DeflateParameters | None
) -> None:
    deflater = None if deflate is None else deflate.deflater(is_client=True)
    stream = b""
    for message, wanted, ping in messages:
        payload = message.encode() if isinstance(message, str) else message
        deflated = None if deflater is None else deflater.deflate(payload)
        payload = payload if deflated is None else deflated
        size = max(wanted, len(payload) // 50)
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
        for number, piece in enumerate(pieces):
            opcode = CONTINUATION if number else 1 if isinstance(message, str) else 2
            rsv = 4 if deflated is not None and not number else 0
            stream += frame(opcode, piece, fin=number == len(pieces) - 1, rsv=rsv)
            stream += frame(PONG, b"between") if ping else b""
    receiver = Connection(Role.SERVER, deflate=deflate)
    events = [event for event in events_of(receiver, chopped(stream, seed)) if isinstance(event, str | bytes)]
    assert events == [message for message, _, _ in messages]


@given(STREAMS)
def test_the_last_event_ends_the_connection_and_is_the_only_one_that_does(stream: bytes) -> None:
    connection = Connection(Role.SERVER)
    events = connection.receive_data(stream) + connection.receive_eof()
    ends = [isinstance(event, Close | ProtocolError) for event in events]
    assert ends == [False] * (len(events) - 1) + [True]
    assert connection.receive_data(stream) == []


@pytest.mark.parametrize("size", [40_000, 80_000])
def test_a_long_message_is_not_joined_again_for_every_byte_that_comes(size: int) -> None:
    connection = Connection(Role.SERVER)
    stream = frame(1, b"a" * size) + frame(PING) + frame(CLOSE)
    assert len(events_of(connection, chopped(stream, None))) == 3
