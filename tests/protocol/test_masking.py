import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.protocol.masking import mask, mask_onto, unmask_text


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4), st.binary(max_size=9), st.binary(max_size=5))
def test_every_byte_is_xored_with_its_byte_of_the_key(
    payload: bytes, key: bytes, before: bytes, after: bytes
) -> None:
    start = len(before) + 4
    masked = mask(before + key + payload + after, start, start + len(payload))
    assert masked == bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


@given(st.text(max_size=300).map(str.encode) | st.binary(max_size=9), st.binary(min_size=4, max_size=4))
def test_a_text_is_unmasked_and_decoded(payload: bytes, key: bytes) -> None:
    masked = b"before" + key + mask(key + payload, 4, 4 + len(payload)) + b"after"
    text = payload.decode(errors="replace")
    if text.encode() == payload:
        assert unmask_text(masked, 10, 10 + len(payload)) == text
    else:
        with pytest.raises(UnicodeDecodeError):
            unmask_text(masked, 10, 10 + len(payload))


def test_the_bytes_that_the_interpreter_shares_stay_as_they_are() -> None:
    assert mask(b"\x01\x02\x03\x04a", 4, 5) == b"`"
    assert mask(b"\x01\x02\x03\x04", 4, 4) == b""
    assert b"xay"[1:2] == bytes((97,))


def test_the_example_of_rfc_6455_section_5_7_is_unmasked() -> None:
    frame = bytes.fromhex("818537fa213d7f9f4d5158")
    assert mask(frame, 6, 11) == b"Hello"


@given(
    st.binary(max_size=300),
    st.binary(min_size=4, max_size=4),
    st.binary(max_size=9),
    st.binary(max_size=5),
    st.binary(max_size=9),
)
def test_a_piece_is_unmasked_onto_the_end_of_what_came_before(
    payload: bytes, key: bytes, before: bytes, after: bytes, message: bytes
) -> None:
    joined = bytearray(message)
    mask_onto(joined, before + payload + after, len(before), len(before) + len(payload), key)
    assert joined == message + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
