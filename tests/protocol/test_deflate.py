from __future__ import annotations

import random
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.errors import InvalidFrame, MessageTooBig
from roomcast.protocol.deflate import Deflater, Inflater, deflate_message

LIMIT = 1 << 24
STEPS = pytest.mark.parametrize("step", [None, 1 << 30, 1])


def inflated(
    payload: bytes, *, inflater: Inflater | None = None, step: int | None = None, limit: int = LIMIT
) -> bytes:
    """Inflate a message that comes in pieces of `step` bytes; None for one that comes whole."""
    inflater = inflater or Inflater(15, context_takeover=False)
    message = bytearray()
    inflate_all(payload, step, inflater, message, limit)
    if step is not None:
        inflater.finish(message, limit)
    return bytes(message)


def inflate_all(payload: bytes, step: int | None, inflater: Inflater, message: bytearray, limit: int) -> None:
    if step is None:
        message += inflater.inflate_whole(payload, limit)
        return
    for at in range(0, len(payload), step):
        inflater.inflate(payload[at : at + step], message, limit)


# The examples of RFC 7692, section 7.2.3.
@STEPS
def test_a_message_of_one_block_is_inflated(step: int | None) -> None:
    assert inflated(bytes.fromhex("f248cdc9c90700"), step=step) == b"Hello"


@STEPS
def test_a_window_is_shared_between_messages_where_that_was_agreed_on(step: int | None) -> None:
    inflater = Inflater(15, context_takeover=True)
    assert inflated(bytes.fromhex("f248cdc9c90700"), inflater=inflater, step=step) == b"Hello"
    assert inflated(bytes.fromhex("f200110000"), inflater=inflater, step=step) == b"Hello"


@STEPS
def test_a_window_is_not_shared_where_that_was_not_agreed_on(step: int | None) -> None:
    inflater = Inflater(15, context_takeover=False)
    inflated(bytes.fromhex("f248cdc9c90700"), inflater=inflater, step=step)
    with pytest.raises(InvalidFrame, match="too far back"):
        inflated(bytes.fromhex("f200110000"), inflater=inflater, step=step)


@STEPS
def test_a_block_without_compression_is_inflated(step: int | None) -> None:
    assert inflated(bytes.fromhex("000500faff48656c6c6f00"), step=step) == b"Hello"


@STEPS
def test_a_final_block_is_inflated_and_may_be_followed_by_more(step: int | None) -> None:
    assert inflated(bytes.fromhex("f348cdc9c9070000"), step=step) == b"Hello"
    inflater = Inflater(15, context_takeover=True)
    for _ in range(3):
        assert inflated(bytes.fromhex("f348cdc9c9070000"), inflater=inflater, step=step) == b"Hello"
        assert inflated(bytes.fromhex("f248cdc9c90700"), inflater=inflater, step=step) == b"Hello"


@STEPS
def test_two_blocks_in_one_message_are_inflated(step: int | None) -> None:
    assert inflated(bytes.fromhex("f248050000 00ffff cac9c90700".replace(" ", "")), step=step) == b"Hello"


@pytest.mark.parametrize("takeover", [False, True])
@STEPS
def test_the_empty_message_is_one_zero_or_nothing(takeover: bool, step: int | None) -> None:
    inflater = Inflater(15, context_takeover=takeover)
    for _ in range(2):
        assert inflated(b"\x00", inflater=inflater, step=step) == b""
        assert inflated(b"", inflater=inflater, step=step) == b""
        assert inflated(bytes.fromhex("f248cdc9c90700"), inflater=inflater, step=step) == b"Hello"


@pytest.mark.parametrize(
    "payload", [b"\xff\xff\xff", b"\x07", bytes.fromhex("f248cdc9c90700") + b"\x00\x00\xff\xff"]
)
@STEPS
def test_what_is_not_deflated_is_refused(payload: bytes, step: int | None) -> None:
    with pytest.raises(InvalidFrame, match="deflated data"):
        inflated(payload, step=step)


@STEPS
def test_a_message_that_stops_within_a_block_is_refused(step: int | None) -> None:
    whole = deflate_message(random.Random(1).randbytes(1000) + bytes(5000))
    for cut in (10, 100, len(whole) // 2, len(whole) - 2):
        with pytest.raises(InvalidFrame):
            inflated(whole[:cut], step=step)


@STEPS
def test_endless_empty_streams_are_refused_soon(step: int | None) -> None:
    with pytest.raises(InvalidFrame, match="deflate streams"):
        inflated(b"\x03\x00" * 100_000, step=step)


@pytest.mark.parametrize("step", [1, 1000, 1 << 30, None])
@pytest.mark.parametrize("limit", [0, 1, 1000, (1 << 20) - 1, 1 << 20])
def test_a_bomb_takes_no_more_than_the_limit(limit: int, step: int | None) -> None:
    bomb = deflate_message(bytes(8 << 20))
    message = bytearray()
    inflater = Inflater(15, context_takeover=False)
    tracemalloc.start()
    try:
        with pytest.raises(MessageTooBig, match=f"over {limit} bytes"):
            inflate_all(bomb, step, inflater, message, limit)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(message) <= limit
    assert peak < 3 * limit + 300_000


@pytest.mark.parametrize("size", [0, 1, 1000, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_message_of_exactly_the_limit_is_taken(size: int) -> None:
    payload = deflate_message(bytes(size)) if size else b"\x00"
    for step in (None, 1 << 30, 7):
        assert inflated(payload, limit=size, step=step) == bytes(size)
        if size:
            with pytest.raises(MessageTooBig):
                inflated(payload, limit=size - 1, step=step)


@given(
    st.lists(st.binary(max_size=50) | st.integers(1, 3000).map(lambda n: b"abc" * n), max_size=6),
    st.integers(8, 15),
    st.booleans(),
    st.integers(1, 9),
    st.none() | st.integers(1, 50),
)
def test_what_was_deflated_inflates_to_the_same(
    payloads: list[bytes], window_bits: int, takeover: bool, level: int, step: int | None
) -> None:
    deflater = Deflater(window_bits, takeover, level)
    inflater = Inflater(window_bits, takeover)
    for payload in payloads:
        deflated = deflater.deflate(payload)
        if deflated is not None:
            assert inflated(deflated, inflater=inflater, step=step) == payload


@pytest.mark.parametrize("window_bits", range(8, 16))
def test_no_message_looks_back_further_than_its_window(window_bits: int) -> None:
    block = random.Random(7).randbytes(1 << window_bits)
    payload = block * 3 + bytes(1000) + block[:300] * 20
    assert zlib.decompressobj(-window_bits).decompress(deflate_message(payload, window_bits)) == payload


def test_a_message_deflated_on_its_own_does_not_depend_on_the_ones_before() -> None:
    first = deflate_message(b"a similar message" * 20)
    assert deflate_message(b"a similar message" * 20) == first
    assert inflated(first) == b"a similar message" * 20


def test_threads_do_not_mix_their_messages() -> None:
    def work(number: int) -> bool:
        payload = bytes((number,)) * 20_000 + random.Random(number).randbytes(20_000)
        return all(inflated(deflate_message(payload)) == payload for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))
