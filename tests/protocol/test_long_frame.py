"""A message in one long frame that comes in pieces."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.errors import InvalidText
from roomcast.protocol.connection import Connection
from roomcast.protocol.sending import Role
from tests.protocol.wire import BINARY, TEXT, frame

SIZES = st.integers(0, 13_000)
"""Over three of the blocks in which a text is looked at."""
CUTS = st.lists(st.integers(1, 6_000), min_size=1, max_size=30)


def received(connection: Connection, stream: bytes, cuts: list[int]) -> list[object]:
    """Give what a stream means that comes cut: as long as it says, and then all the rest."""
    events: list[object] = []
    at = 0
    for size in cuts:
        events += connection.receive_data(stream[at : at + size])
        at += size
    return events + connection.receive_data(stream[at:])


@given(
    SIZES,
    st.sampled_from(["", "é", "日", "🙂", "\x7f"]),
    SIZES,
    CUTS,
    st.sampled_from([b"\x01\xfe\x03\x80", None]),
)
def test_text_is_the_same_wherever_it_is_cut_and_leaves_ascii(
    before: int, odd: str, after: int, cuts: list[int], key: bytes | None
) -> None:
    connection = Connection(Role.CLIENT if key is None else Role.SERVER)
    text = "a" * before + odd + "b" * after
    stream = frame(TEXT, text.encode(), key=key) + frame(TEXT, b"next", key=key)
    assert received(connection, stream, cuts) == [text, "next"]


@given(SIZES, CUTS, st.binary(min_size=1, max_size=9))
def test_bytes_are_the_same_wherever_they_are_cut(repeated: int, cuts: list[int], what: bytes) -> None:
    payload = what * (repeated // len(what) + 1)
    stream = frame(BINARY, payload) + frame(BINARY, b"next")
    assert received(Connection(Role.SERVER), stream, cuts) == [payload, b"next"]


@given(SIZES, st.sampled_from([b"\xff", b"\xed\xa0\x80", b"\xc3a", b"\xc3\xa9\x80"]), CUTS)
def test_a_bad_text_fails_at_its_first_bad_byte_wherever_it_is_cut(
    before: int, bad: bytes, cuts: list[int]
) -> None:
    connection = Connection(Role.SERVER)
    start = frame(TEXT, b"a" * before + bad, length=100_000)
    (error,) = received(connection, start, cuts)
    assert isinstance(error, InvalidText)
    at = before + {b"\xff": 0, b"\xed\xa0\x80": 0, b"\xc3a": 0, b"\xc3\xa9\x80": 2}[bad]
    assert str(at) in str(error)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_header_reserves_little_of_what_it_announces(opcode: int) -> None:
    connection = Connection(Role.SERVER)
    tracemalloc.start()
    try:
        connection.receive_data(frame(opcode, b"a" * 1000, length=16_000_000))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20_000
    assert connection.is_within_message()
