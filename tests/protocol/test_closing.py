import pytest

from roomcast.errors import InvalidClose, InvalidFrame, InvalidText
from roomcast.protocol.closing import close_payload, read_close_payload


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999])
def test_a_close_is_read_as_it_was_written(code: int) -> None:
    assert read_close_payload(close_payload(code, "auf Wiedersehen, ä")) == (code, "auf Wiedersehen, ä")


def test_a_close_without_a_code_is_reported_as_1005() -> None:
    assert close_payload(None, "") == b""
    assert read_close_payload(b"") == (1005, "")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535, 70000])
def test_a_code_that_may_not_be_sent_is_not_sent(code: int) -> None:
    with pytest.raises(InvalidClose, match=f"close code {code} may not be sent"):
        close_payload(code, "")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_a_code_that_may_not_be_sent_is_not_taken(code: int) -> None:
    with pytest.raises(InvalidFrame, match=f"close code {code}"):
        read_close_payload(code.to_bytes(2, "big"))


def test_half_a_code_is_not_taken() -> None:
    with pytest.raises(InvalidFrame, match="half a close code"):
        read_close_payload(b"\x03")


def test_a_reason_must_be_utf_8() -> None:
    with pytest.raises(InvalidText, match="close reason that is not UTF-8"):
        read_close_payload(b"\x03\xe8\xff")
    with pytest.raises(InvalidClose, match="no bytes for"):
        close_payload(1000, "\ud800")


def test_a_reason_has_at_most_123_bytes() -> None:
    assert len(close_payload(1000, "ä" * 61 + "a")) == 125
    with pytest.raises(InvalidClose, match="124 bytes: at most 123"):
        close_payload(1000, "ä" * 62)


def test_a_reason_needs_a_code() -> None:
    with pytest.raises(InvalidClose, match="needs a close code"):
        close_payload(None, "why")
