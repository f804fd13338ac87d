from __future__ import annotations

import zlib

import pytest

from roomcast.errors import InvalidFrame, InvalidText, MessageTooBig, ProtocolError, TooManyFrames
from roomcast.protocol.connection import Connection, State
from roomcast.protocol.deflate import DeflateParameters
from roomcast.protocol.events import Close, Ping, Pong
from roomcast.protocol.sending import Role
from tests.protocol.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    client,
    events_of,
    frame,
    server,
)


def test_a_text_message_comes_as_str_and_a_binary_one_as_bytes() -> None:
    assert server().receive_data(frame(TEXT, "grüß".encode()) + frame(BINARY, b"\x00\xff")) == [
        "grüß",
        b"\x00\xff",
    ]


def test_a_client_reads_unmasked_frames() -> None:
    data = frame(TEXT, b"Hello", key=None) + frame(BINARY, bytes(70000), key=None)
    assert client().receive_data(data) == ["Hello", bytes(70000)]


def test_empty_messages_are_messages() -> None:
    assert server().receive_data(frame(TEXT) + frame(BINARY)) == ["", b""]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 1 << 20])
def test_a_message_of_any_size_comes_whole(size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert server().receive_data(frame(BINARY, payload)) == [payload]
    assert events_of(server(), (frame(BINARY, payload)[:7], frame(BINARY, payload)[7:])) == [payload]


def test_fragments_are_joined() -> None:
    data = frame(TEXT, b"Hel", fin=False) + frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, b"lo")
    assert server().receive_data(data) == ["Hello"]


def test_control_frames_may_stand_between_fragments() -> None:
    connection = server()
    data = frame(TEXT, b"Hel", fin=False) + frame(PING, b"?") + frame(PONG, b"!") + frame(CONTINUATION, b"lo")
    assert connection.receive_data(data) == [Ping(b"?"), Pong(b"!"), "Hello"]
    assert connection.data_to_send() == frame(PONG, b"?", key=None)


def test_every_ping_is_answered_in_order_and_once() -> None:
    connection = server()
    connection.receive_data(b"".join(frame(PING, bytes((number,))) for number in range(10)))
    assert connection.data_to_send() == b"".join(frame(PONG, bytes((n,)), key=None) for n in range(10))
    assert connection.data_to_send() == b""


def test_a_client_answers_with_masked_frames() -> None:
    connection = client()
    connection.receive_data(frame(PING, b"?", key=None))
    reply = connection.data_to_send()
    assert reply == frame(PONG, b"?", key=reply[2:6])


def test_a_character_may_be_cut_between_fragments_and_between_reads() -> None:
    data = frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONTINUATION, b"\x98", fin=False)
    data += frame(CONTINUATION, b"\x80" + "é".encode() * 100)
    for size in (1, 2, 3, 7, len(data)):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert events_of(server(), pieces) == ["😀" + "é" * 100]


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b"abc\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a" * 200 + b"\x80", b"a\xe2\x82"],
)
def test_text_that_is_not_utf_8_is_answered_with_1007(payload: bytes) -> None:
    connection = server()
    (error,) = connection.receive_data(frame(TEXT, payload))
    assert isinstance(error, InvalidText)
    assert connection.error is error
    assert connection.data_to_send()[:4] == bytes((0x88, 2 + len(error.reason))) + b"\x03\xef"


def test_a_bad_text_fails_at_its_first_bad_byte_though_more_of_its_frame_is_to_come() -> None:
    connection = server()
    whole = frame(TEXT, b"a" * 500 + b"\xf4\x90" + b"a" * 500)
    at = 8 + 501
    assert connection.receive_data(whole[:at]) == []
    (error,) = connection.receive_data(whole[at : at + 1])
    assert isinstance(error, InvalidText)
    assert "at byte 500" in error.reason


def test_a_bad_text_fails_in_the_fragment_that_makes_it_bad() -> None:
    connection = server()
    assert connection.receive_data(frame(TEXT, b"\xf4", fin=False)) == []
    (error,) = connection.receive_data(frame(CONTINUATION, b"\x90", fin=False))
    assert isinstance(error, InvalidText)


def test_binary_messages_are_not_checked_for_utf_8() -> None:
    data = frame(BINARY, b"\xff" * 10, fin=False) + frame(CONTINUATION, b"\xfe" * 200)
    assert server().receive_data(data) == [b"\xff" * 10 + b"\xfe" * 200]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(TEXT, b"a", key=None), "not masked"),
        (frame(TEXT, b"a", rsv=0b100), "no compression was agreed on"),
        (frame(CONTINUATION, b"a"), "without a message to continue"),
        (frame(CONTINUATION, b"a", fin=False), "without a message to continue"),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), "a new message within"),
        (frame(TEXT, b"a", fin=False) + frame(BINARY, b"b", fin=False), "a new message within"),
        (frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", rsv=0b100), "RSV1"),
        (frame(CLOSE, b"\x03"), "half a close code"),
        (frame(CLOSE, b"\x03\xed"), "close code 1005"),
        (frame(7), "reserved opcode 7"),
    ],
)
def test_what_rfc_6455_does_not_allow_is_answered_with_1002(data: bytes, reason: str) -> None:
    connection = server()
    error = connection.receive_data(data)[-1]
    assert isinstance(error, InvalidFrame)
    assert reason in error.reason
    assert connection.data_to_send()[2:4] == b"\x03\xea"
    assert connection.state is State.CLOSED


def test_what_came_before_a_bad_frame_in_the_same_read_is_delivered_and_answered() -> None:
    connection = server()
    before = frame(TEXT, b"one") + frame(PING, b"two")
    *events, error = connection.receive_data(before + frame(3) + frame(TEXT, b"never"))
    assert events == ["one", Ping(b"two")]
    assert isinstance(error, InvalidFrame)
    assert error.position == len(before)
    pong = frame(PONG, b"two", key=None)
    assert connection.data_to_send().startswith(pong + b"\x88")


def test_the_position_of_a_bad_frame_counts_over_all_reads() -> None:
    connection = server()
    stream = frame(TEXT, b"a" * 300) + frame(BINARY, b"b" * 10) + frame(TEXT, b"c\xff" * 100)
    events = events_of(connection, (stream[at : at + 11] for at in range(0, len(stream), 11)))
    assert isinstance(events[-1], ProtocolError)
    assert events[-1].position == 308 + 16


def test_after_an_error_nothing_is_read() -> None:
    connection = server()
    connection.receive_data(frame(3))
    connection.data_to_send()
    assert connection.receive_data(frame(TEXT, b"a") + frame(CLOSE)) == []
    assert connection.receive_eof() == []
    assert connection.data_to_send() == b""


def test_a_close_frame_is_answered_with_its_code_and_reason() -> None:
    connection = server()
    assert connection.receive_data(frame(CLOSE, b"\x03\xe9bye") + frame(TEXT, b"late")) == [Close(1001, "bye")]
    assert connection.data_to_send() == frame(CLOSE, b"\x03\xe9bye", key=None)
    assert connection.state is State.CLOSED
    assert connection.close_received == Close(1001, "bye")
    assert connection.receive_eof() == []


def test_a_close_frame_without_a_code_is_answered_without_one() -> None:
    connection = server()
    assert connection.receive_data(frame(CLOSE)) == [Close(1005, "")]
    assert connection.data_to_send() == frame(CLOSE, key=None)


def test_a_close_reason_that_is_not_utf_8_is_answered_with_1007() -> None:
    connection = server()
    (error,) = connection.receive_data(frame(CLOSE, b"\x03\xe8\xff"))
    assert isinstance(error, InvalidText)
    assert connection.data_to_send()[2:4] == b"\x03\xef"


def test_messages_still_come_between_our_close_frame_and_the_peers() -> None:
    connection = server()
    assert connection.send_close(1001, "bye") == frame(CLOSE, b"\x03\xe9bye", key=None)
    assert connection.state is State.CLOSING
    assert connection.receive_data(frame(TEXT, b"late") + frame(PING)) == ["late", Ping(b"")]
    assert connection.receive_data(frame(CLOSE, b"\x03\xe9")) == [Close(1001, "")]
    assert connection.data_to_send() == b""
    assert connection.state.name == State.CLOSED.name


def test_a_connection_that_ends_without_a_close_frame_is_reported_as_1006() -> None:
    connection = server()
    connection.receive_data(frame(TEXT, b"half")[:3])
    assert connection.receive_eof() == [Close(1006, "")]
    assert connection.receive_eof() == []
    assert connection.close_received == Close(1006, "")
    assert connection.state is State.CLOSED


def test_a_message_over_the_limit_is_refused_by_its_header() -> None:
    connection = Connection(Role.SERVER, max_message_size=1000)
    assert connection.receive_data(frame(BINARY, bytes(1000))) == [bytes(1000)]
    (error,) = connection.receive_data(frame(BINARY, bytes(1001))[:4])
    assert isinstance(error, MessageTooBig)
    assert connection.data_to_send()[2:4] == b"\x03\xf1"


def test_a_small_limit_holds_for_small_messages() -> None:
    connection = Connection(Role.SERVER, max_message_size=3)
    *events, error = connection.receive_data(frame(TEXT, b"abc") + frame(TEXT, b"abcd"))
    assert events == ["abc"]
    assert isinstance(error, MessageTooBig)


def test_the_limit_holds_for_all_fragments_together() -> None:
    connection = Connection(Role.SERVER, max_message_size=1000)
    assert connection.receive_data(frame(BINARY, bytes(600), fin=False)) == []
    (error,) = connection.receive_data(frame(CONTINUATION, bytes(401))[:4])
    assert isinstance(error, MessageTooBig)


def test_a_frame_that_announces_the_most_that_can_be_is_refused_or_waited_for() -> None:
    for size in (2**62, 2**62 + 1, 2**63 - 1):
        head = frame(BINARY, length=size, form=8)
        assert isinstance(server().receive_data(head)[0], MessageTooBig)
        unlimited = Connection(Role.SERVER, max_message_size=None, deflate=DeflateParameters())
        unlimited.receive_data(frame(BINARY, b"a", fin=False))
        unlimited.receive_data(frame(CONTINUATION, length=size, form=8) + bytes(100))
        assert unlimited.receive_eof() in ([Close(1006, "")], [])


def test_a_message_in_too_many_fragments_is_answered_with_1008() -> None:
    connection = Connection(Role.SERVER, max_fragments=3)
    three = frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False)
    assert connection.receive_data(three + frame(CONTINUATION, b"c")) == ["abc"]
    (error,) = connection.receive_data(three + frame(CONTINUATION, b"c", fin=False) + frame(CONTINUATION, b"d"))
    assert isinstance(error, TooManyFrames)
    assert connection.data_to_send()[2:4] == b"\x03\xf0"


def test_too_many_control_frames_in_a_second_are_answered_with_1008() -> None:
    now = 100.0
    connection = Connection(Role.SERVER, max_control_frames=3, clock=lambda: now)
    assert connection.receive_data(frame(PING) * 3 + frame(TEXT, b"a") * 9)[3:] == ["a"] * 9
    now = 101.0
    assert connection.receive_data(frame(PONG) * 3) == [Pong(b"")] * 3
    error = connection.receive_data(frame(PING))[-1]
    assert isinstance(error, TooManyFrames)


def test_without_a_clock_control_frames_are_not_counted() -> None:
    assert len(server().receive_data(frame(PONG) * 1000)) == 1000


@pytest.mark.parametrize("takeover", [False, True])
def test_deflated_messages_are_inflated(takeover: bool) -> None:
    parameters = DeflateParameters(client_no_context_takeover=not takeover)
    connection = Connection(Role.SERVER, deflate=parameters)
    sender = zlib.compressobj(wbits=-15)
    for text in ("a" * 1000, "", "ä" * 500, "Hello"):
        payload = (sender.compress(text.encode()) + sender.flush(zlib.Z_SYNC_FLUSH))[:-4] or b"\x00"
        parts = [payload[at : at + 3] for at in range(0, len(payload), 3)]
        data = frame(TEXT, parts[0], fin=len(parts) == 1, rsv=0b100)
        for part in parts[1:]:
            data += frame(CONTINUATION, part, fin=part is parts[-1])
        assert connection.receive_data(data) == [text]
        if not takeover:
            sender = zlib.compressobj(wbits=-15)


def test_messages_may_come_plain_where_compression_was_agreed_on() -> None:
    connection = Connection(Role.SERVER, deflate=DeflateParameters())
    assert connection.receive_data(frame(TEXT, b"plain") + frame(BINARY, bytes(500))) == ["plain", bytes(500)]


def test_a_bomb_is_refused_with_1009() -> None:
    connection = Connection(Role.SERVER, max_message_size=1 << 20, deflate=DeflateParameters())
    bomb = zlib.compressobj(wbits=-15)
    payload = bomb.compress(bytes(64 << 20)) + bomb.flush(zlib.Z_SYNC_FLUSH)
    (error,) = connection.receive_data(frame(BINARY, payload[:-4], rsv=0b100))
    assert isinstance(error, MessageTooBig)


def test_deflated_text_that_is_not_utf_8_fails_before_its_end() -> None:
    connection = Connection(Role.SERVER, deflate=DeflateParameters())
    sender = zlib.compressobj(wbits=-15)
    payload = sender.compress(b"a" * 1000 + b"\xff") + sender.flush(zlib.Z_SYNC_FLUSH)
    (error,) = connection.receive_data(frame(TEXT, payload, fin=False, rsv=0b100))
    assert isinstance(error, InvalidText)
    assert "at byte 1000" in error.reason


def test_a_frame_that_claims_to_be_deflated_beyond_reason_is_refused_by_its_header() -> None:
    connection = Connection(Role.SERVER, max_message_size=1000, deflate=DeflateParameters())
    (error,) = connection.receive_data(frame(BINARY, length=2000, rsv=0b100))
    assert isinstance(error, MessageTooBig)


def test_the_close_frame_of_every_error_is_itself_allowed() -> None:
    for data in (
        frame(TEXT, b"\xff" * 99),
        frame(3),
        frame(BINARY, length=2**62, form=8),
        frame(CLOSE, b"\x00\x00"),
    ):
        connection = server()
        (error,) = connection.receive_data(data)
        assert isinstance(error, ProtocolError)
        assert client().receive_data(connection.data_to_send()) == [Close(error.code, error.reason)]
        assert len(error.reason.encode()) <= 123
        assert str(error.code) in str(error)
