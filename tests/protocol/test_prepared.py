from typing import Any

import pytest

from roomcast.errors import UnsupportedData
from roomcast.protocol.connection import Connection
from roomcast.protocol.deflate import DeflateParameters
from roomcast.protocol.prepared import PreparedMessage
from roomcast.protocol.sending import Role
from tests.protocol.wire import BINARY, TEXT, frame


def test_a_text_message_is_prepared_as_utf_8() -> None:
    message = PreparedMessage("ä")
    assert (message.data, message.is_text, message.payload) == ("ä", True, b"\xc3\xa4")
    assert message.frame() == frame(TEXT, b"\xc3\xa4", key=None)


def test_a_binary_message_is_prepared_as_it_is() -> None:
    message = PreparedMessage(b"\xff")
    assert (message.data, message.is_text, message.payload) == (b"\xff", False, b"\xff")
    assert message.frame() == frame(BINARY, b"\xff", key=None)


def test_every_encoding_is_made_once() -> None:
    message = PreparedMessage("a" * 1000)
    assert message.frame() is message.frame()
    deflated = message.deflated_frame(DeflateParameters())
    assert message.deflated_frame(DeflateParameters()) is deflated
    assert message.deflated_frame(DeflateParameters(client_max_window_bits=9)) is deflated
    assert message.deflated_frame(DeflateParameters(server_max_window_bits=9)) is not deflated


@pytest.mark.parametrize("window_bits", range(8, 16))
def test_a_deflated_frame_says_the_same(window_bits: int) -> None:
    parameters = DeflateParameters(server_max_window_bits=window_bits)
    text = "".join(f"{number} " for number in range(3000))
    data = PreparedMessage(text).deflated_frame(parameters)
    assert len(data) < len(text)
    assert Connection(Role.CLIENT, deflate=parameters).receive_data(data) == [text]


def test_a_short_message_is_not_deflated() -> None:
    message = PreparedMessage("a" * 127)
    assert message.deflated_frame(DeflateParameters()) is message.frame()


def test_a_message_that_does_not_get_smaller_is_not_deflated() -> None:
    message = PreparedMessage(bytes(200))
    assert message.deflated_frame(DeflateParameters(level=0)) is message.frame()


@pytest.mark.parametrize("data", [None, 1, ["a"], bytearray(b"a")])
def test_a_message_is_str_or_bytes(data: Any) -> None:
    with pytest.raises(UnsupportedData, match="str or bytes, not"):
        PreparedMessage(data)


def test_a_lone_surrogate_cannot_be_prepared() -> None:
    with pytest.raises(UnsupportedData, match="surrogates"):
        PreparedMessage("\ud800")
