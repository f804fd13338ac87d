import pytest

from roomcast.errors import InvalidFrame, UnsupportedData
from roomcast.protocol.frames import (
    MASKED,
    client_frame,
    frame_header,
    read_header,
    server_frame,
    text_frame,
)
from tests.protocol.wire import BINARY, CLOSE, PING, TEXT, frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_server_frame_is_unmasked_and_of_the_shortest_form(size: int) -> None:
    payload = bytes(size)
    assert server_frame(0x82, payload) == frame(BINARY, payload, key=None)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_client_frame_is_masked(size: int) -> None:
    payload = b"a" * size
    built = client_frame(0x81, payload)
    header = read_header(built, 0, len(built), MASKED)
    assert header is not None
    assert (header.first, header.length) == (0x81, size)
    assert built == frame(TEXT, payload, key=built[header.start - 4 : header.start])


def test_a_client_takes_a_new_key_for_every_frame() -> None:
    assert len({client_frame(0x82, bytes(8)) for _ in range(20)}) == 20


class Text(str):
    """A text of a subclass."""

    __slots__ = ()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70000])
@pytest.mark.parametrize("character", ["a", "\xe9", "\u20ac", "\U0001f600"])
def test_a_text_frame_carries_the_text_as_utf_8(size: int, character: str) -> None:
    text = character * size
    assert text_frame(text) == text_frame(Text(text)) == frame(TEXT, text.encode(), key=None)


def test_a_text_frame_takes_no_lone_surrogate() -> None:
    with pytest.raises(UnsupportedData, match="surrogates not allowed at 1"):
        text_frame("a\ud800")


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 2**62, 2**63 - 1])
def test_a_header_is_read_as_it_was_written(size: int) -> None:
    for mask_bit in (0, MASKED):
        written = frame_header(0x82, size, mask_bit)
        header = read_header(written, 0, len(written), mask_bit)
        assert header is not None
        assert (header.first, header.length) == (0x82, size)
        assert header.start == len(written) + (4 if mask_bit else 0)


@pytest.mark.parametrize("size", [126, 65536])
def test_a_header_that_is_not_all_here_is_waited_for(size: int) -> None:
    written = frame_header(0x82, size)
    for end in range(2, len(written)):
        assert read_header(written[:end], 0, end, 0) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(TEXT, rsv=0b010), "reserved bit"),
        (frame(TEXT, rsv=0b001), "reserved bit"),
        (frame(TEXT, rsv=0b011), "reserved bit"),
        *[(frame(opcode), f"reserved opcode {opcode}") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
        (frame(TEXT, key=None), "not masked"),
        (frame(PING, fin=False), "fragmented control frame"),
        (frame(CLOSE, rsv=0b100), "deflated control frame"),
        (frame(PING, bytes(126)), "over 125 bytes"),
        (frame(PING, bytes(70000)), "over 125 bytes"),
        (frame(BINARY, bytes(125), form=2), "length of 125 in two bytes"),
        (frame(BINARY, form=2), "length of 0 in two bytes"),
        (frame(BINARY, bytes(125), form=8), "length of 125 in eight bytes"),
        (frame(BINARY, length=65535, form=8), "length of 65535 in eight bytes"),
        (frame(BINARY, length=2**63, form=8), "most significant bit"),
        (frame(BINARY, length=2**64 - 1, form=8), "most significant bit"),
    ],
)
def test_a_frame_that_rfc_6455_does_not_allow_is_refused_by_its_header(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidFrame, match=reason):
        read_header(data, 0, len(data), MASKED)


def test_a_client_takes_no_masked_frame() -> None:
    data = frame(TEXT, b"Hello")
    with pytest.raises(InvalidFrame, match="a masked frame"):
        read_header(data, 0, len(data), 0)
