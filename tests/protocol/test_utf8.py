import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roomcast.errors import InvalidText, UnsupportedData
from roomcast.protocol.utf8 import decoded, decoded_until, encoded


def can_become_text(prefix: bytes) -> bool:
    """Try whether some continuation makes it UTF-8: a character needs three more bytes at most."""
    tails = [b"", *(bytes((a,)) for a in (0x80, 0x90, 0xA0, 0xBF))]
    tails += [bytes((a,)) + rest for a in (0x80, 0x90, 0xA0, 0xBF) for rest in (b"\x80", b"\x80\x80")]
    for tail in tails:
        try:
            (prefix + tail).decode()
        except UnicodeDecodeError:
            continue
        return True
    return False


awkward = st.lists(
    st.sampled_from([0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xE1, 0xED, 0xEF])
    | st.sampled_from([0xF0, 0xF1, 0xF4, 0xF5, 0xFF]),
    max_size=8,
).map(bytes)


@given(awkward | st.binary(max_size=8) | st.text(max_size=8).map(str.encode))
@example(b"\xed\xa0")
@example(b"\xf4\x90")
@example(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90")
def test_a_text_fails_at_the_first_byte_that_nothing_can_follow(data: bytes) -> None:
    text = bytearray()
    checked = 0
    for at in range(len(data)):
        text += data[at : at + 1]
        if not can_become_text(data[: at + 1]):
            with pytest.raises(InvalidText):
                decoded_until(text, checked)
            return
        checked = decoded_until(text, checked)
        assert checked > len(text) - 4


def test_a_text_that_stops_within_a_character_is_refused() -> None:
    with pytest.raises(InvalidText, match="unexpected end of data at byte 1"):
        decoded(b"a\xe2\x82")


def test_the_place_of_the_bad_byte_counts_from_the_start_of_the_message() -> None:
    text = bytearray(b"abc")
    checked = decoded_until(text, 0)
    text += b"d\xff"
    with pytest.raises(InvalidText, match="at byte 4"):
        decoded_until(text, checked)


def test_a_lone_surrogate_cannot_be_sent() -> None:
    assert encoded("é") == b"\xc3\xa9"
    with pytest.raises(UnsupportedData, match="surrogates not allowed at 1"):
        encoded("a\ud800")
