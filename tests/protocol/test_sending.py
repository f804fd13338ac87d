from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roomcast.errors import InvalidClose, OutOfOrder, UnsupportedData
from roomcast.protocol.connection import Connection
from roomcast.protocol.deflate import DeflateParameters
from roomcast.protocol.events import Close
from roomcast.protocol.prepared import PreparedMessage
from roomcast.protocol.sending import Role
from tests.protocol.wire import BINARY, CLOSE, PING, PONG, TEXT, client, frame, server

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_server_sends_messages_unmasked(size: int) -> None:
    assert server().send_text("a" * size) == frame(TEXT, b"a" * size, key=None)
    assert server().send_bytes(b"a" * size) == frame(BINARY, b"a" * size, key=None)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_client_sends_messages_masked(size: int) -> None:
    assert server().receive_data(client().send_text("ä" * size) + client().send_bytes(b"a" * size)) == [
        "ä" * size,
        b"a" * size,
    ]


def test_text_is_sent_as_utf_8() -> None:
    assert server().send_text("ä😀") == frame(TEXT, "ä😀".encode(), key=None)


def test_a_lone_surrogate_is_not_sent() -> None:
    with pytest.raises(UnsupportedData, match="surrogates not allowed"):
        server().send_text("\udc80")


def test_pings_and_pongs_carry_up_to_125_bytes() -> None:
    assert server().send_ping() == frame(PING, key=None)
    assert server().send_ping(bytes(125)) == frame(PING, bytes(125), key=None)
    assert server().send_pong(b"!") == frame(PONG, b"!", key=None)
    with pytest.raises(UnsupportedData, match="126 bytes: at most 125"):
        server().send_ping(bytes(126))


def test_a_close_frame_is_sent_once() -> None:
    connection = server()
    assert connection.send_close() == frame(CLOSE, b"\x03\xe8", key=None)
    assert connection.close_sent == Close(1000, "")
    assert connection.send_close(1001) == b""
    assert connection.close_sent == Close(1000, "")


def test_a_close_frame_may_be_without_a_code() -> None:
    connection = server()
    assert connection.send_close(None) == frame(CLOSE, key=None)
    assert connection.close_sent == Close(1005, "")


def test_a_close_code_that_may_not_be_sent_leaves_the_connection_open() -> None:
    connection = server()
    with pytest.raises(InvalidClose):
        connection.send_close(1006)
    assert connection.send_text("still") == frame(TEXT, b"still", key=None)


def close(connection: Connection) -> None:
    connection.send_close()


def be_closed(connection: Connection) -> None:
    connection.receive_data(frame(CLOSE))
    connection.data_to_send()


def fail(connection: Connection) -> None:
    connection.receive_data(frame(3))
    connection.data_to_send()


def lose(connection: Connection) -> None:
    connection.receive_eof()


@pytest.mark.parametrize("last", [frame(CLOSE), frame(3)])
def test_what_came_before_the_end_can_be_answered_until_the_close_frame_is_taken(last: bytes) -> None:
    connection = server()
    assert connection.receive_data(frame(TEXT, b"before") + last)[0] == "before"
    assert connection.send_text("answer") == frame(TEXT, b"answer", key=None)
    assert connection.data_to_send()[0] == 0x88
    with pytest.raises(OutOfOrder):
        connection.send_text("too late")


@pytest.mark.parametrize("end", [close, be_closed, fail, lose])
def test_nothing_is_sent_after_the_end(end: Callable[[Connection], None]) -> None:
    connection = server()
    end(connection)
    sends: list[Callable[[], bytes]] = [
        lambda: connection.send_text("a"),
        lambda: connection.send_bytes(b"a"),
        lambda: connection.send_prepared(PreparedMessage("a")),
        connection.send_ping,
        connection.send_pong,
    ]
    for send in sends:
        with pytest.raises(OutOfOrder, match="the connection is over"):
            send()
    assert connection.send_close() == b""


@pytest.mark.parametrize("role", [Role.SERVER, Role.CLIENT])
@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.parametrize("window_bits", [8, 9, 15])
def test_messages_are_deflated_as_agreed(role: Role, takeover: bool, window_bits: int) -> None:
    parameters = DeflateParameters(not takeover, not takeover, window_bits, window_bits)
    sender = Connection(role, deflate=parameters)
    receiver = Connection(Role.CLIENT if role is Role.SERVER else Role.SERVER, deflate=parameters)
    sizes = []
    for text in ("Hello " * 100, "Hello " * 100, "short", "", "ä" * 5000):
        data = sender.send_text(text)
        sizes.append(len(data))
        assert receiver.receive_data(data) == [text]
    assert sizes[0] < 600
    if window_bits > 8:
        assert (sizes[1] < sizes[0]) is takeover


def test_messages_under_128_bytes_are_not_deflated() -> None:
    connection = Connection(Role.SERVER, deflate=DeflateParameters())
    assert connection.send_text("a" * 127) == frame(TEXT, b"a" * 127, key=None)
    assert connection.send_text("a" * 128)[0] == 0xC1


def test_messages_that_do_not_get_smaller_are_sent_as_they_are() -> None:
    connection = Connection(Role.SERVER, deflate=DeflateParameters(level=0))
    assert connection.send_bytes(bytes(200)) == frame(BINARY, bytes(200), key=None)


@pytest.mark.parametrize("takeover", [False, True])
def test_prepared_messages_and_others_may_be_mixed(takeover: bool) -> None:
    parameters = DeflateParameters(server_no_context_takeover=not takeover)
    sender = Connection(Role.SERVER, deflate=parameters)
    receiver = Connection(Role.CLIENT, deflate=parameters)
    for number in range(20):
        text = f"{number} of many similar messages, " * 10
        data = sender.send_text(text)
        data += sender.send_prepared(PreparedMessage(text + "prepared"))
        data += sender.send_prepared(PreparedMessage(text.encode()))
        data += sender.send_prepared(PreparedMessage("short"))
        assert receiver.receive_data(data) == [text, text + "prepared", text.encode(), "short"]


def test_a_client_masks_prepared_messages() -> None:
    data = client().send_prepared(PreparedMessage("a")) + client().send_prepared(PreparedMessage(b"b"))
    assert server().receive_data(data) == ["a", b"b"]
