"""Reading a request's head: what is regular is read as h11 reads it, and all else is left to an HTTP server."""

from __future__ import annotations

from time import process_time

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.server import request
from roomcast.server.request import read_head
from tests.server.peer import request as written

TOKENS = st.text(st.sampled_from("!#$%&'*+-.^_`|~09azAZ"), min_size=1, max_size=12)
# Visible ASCII and the bytes over 127, with spaces and tabs within.
VALUES = st.binary(max_size=30).map(
    lambda value: bytes(c for c in value if c == 9 or 32 <= c != 127).strip(b" \t")
)
TARGETS = st.binary(max_size=30).map(lambda target: b"/" + bytes(c for c in target if 32 < c < 127))
SPACES = st.text(st.sampled_from(" \t"), max_size=3)
FIELDS = st.tuples(TOKENS.map(str.encode), SPACES.map(str.encode), VALUES, SPACES.map(str.encode))

REGULAR = written("/a?b", [("X-A", "b"), ("Origin", "http://c")])


def head_of(data: bytes) -> request.RequestHead:
    read = read_head(data)
    assert read is not None
    return read[0]


@given(
    TOKENS, TARGETS, st.sampled_from(["1.0", "1.1", "9.9"]), st.lists(FIELDS, min_size=1), st.binary(max_size=40)
)
def test_a_head_is_read_as_it_was_written_and_what_comes_behind_it_is_given_too(
    method: str, target: bytes, version: str, fields: list[tuple[bytes, bytes, bytes, bytes]], early: bytes
) -> None:
    lines = [b"%b %b HTTP/%b" % (method.encode(), target, version.encode())]
    lines += [b"%b:%b%b%b" % field for field in fields]
    read = read_head(b"\r\n".join(lines) + b"\r\n\r\n" + early)
    assert read is not None
    head, rest = read
    assert (head.method, head.target, head.version) == (method, target, version)
    assert head.headers == [(name.lower(), value) for name, _, value, _ in fields]
    assert rest == early


@given(
    TARGETS,
    st.lists(FIELDS, min_size=1),
    st.integers(0, 200),
    st.sampled_from([b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\x7f"]),
)
def test_what_is_read_of_a_head_with_something_put_into_it_is_what_h11_reads(
    target: bytes, fields: list[tuple[bytes, bytes, bytes, bytes]], at: int, put: bytes
) -> None:
    # Of HTTP/1.0, of which h11 wants no Host header.
    lines = [b"GET %b HTTP/1.0" % target, *(b"%b:%b%b%b" % field for field in fields)]
    data = b"\r\n".join(lines) + b"\r\n\r\n"
    at %= len(data)
    data = data[:at] + put + data[at:]
    read = read_head(data)
    if read is None:
        return
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(data)
    event = parser.next_event()
    assert isinstance(event, h11.Request), data
    assert (read[0].target, read[0].headers) == (event.target, list(event.headers))


@given(st.integers(0, len(REGULAR) - 1))
def test_a_head_that_is_not_all_here_is_none(size: int) -> None:
    assert read_head(REGULAR[:size]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\r\n" + REGULAR,
        b" " + REGULAR,
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1Host: a\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\rHost: a\r\n\r\n",
        b"GET /\r\nHost: a\r\n\r\n",
        b"GET / \r\nHost: a\r\n\r\n",
        b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/11.1\r\nHost: a\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n",
        b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nH\xf6st: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\r\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x0bb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n",
        b"GET / HTTP/1.1\n\nHost: a\r\n\r\n",
    ],
)
def test_a_head_that_is_not_as_rfc_9112_wants_it_is_none(data: bytes) -> None:
    assert read_head(data) is None


@pytest.mark.parametrize(
    "line",
    [b"X: %b\x00", b"X:%b", b"%b: x", b"X: a%b\x7f", b"X%b: a", b"X: %ba\x00"],
)
@pytest.mark.parametrize("filling", [b" ", b"\t", b"a", b"a ", b"\r", b":"])
def test_a_long_line_takes_time_in_its_length_only(line: bytes, filling: bytes) -> None:
    data = REGULAR[:-2] + line % (filling * (20_000 // len(filling))) + b"\r\n\r\n"
    before = process_time()
    read_head(data)
    assert process_time() - before < 1  # in the square of it, it was many seconds


def test_names_are_lower_case_however_they_are_written() -> None:
    for name in (b"Sec-WebSocket-Key", b"Sec-Websocket-Key", b"sec-websocket-key", b"SEC-WEBSOCKET-KEY"):
        head = head_of(b"GET / HTTP/1.1\r\n" + name + b": x\r\n\r\n")
        assert head.headers == [(b"sec-websocket-key", b"x")]


def read_twice(name: str, value: str) -> tuple[bytes, bytes]:
    """Read the same header of two requests, and give what each has as its value."""
    first, second = (head_of(written("/", [(name, value)])).headers[-1][1] for _ in range(2))
    assert first == second == value.encode()
    return first, second


@pytest.mark.parametrize(
    "name", ["Origin", "User-Agent", "USER-AGENT", "Sec-WebSocket-Extensions", "Accept-Language"]
)
def test_values_that_many_requests_have_alike_are_the_same_object(name: str) -> None:
    first, second = read_twice(name, "a value that is longer than one character")
    assert first is second


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "AUTHORIZATION",
        "Cookie",
        "Proxy-Authorization",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "Sec-Websocket-Protocol",
        "X-Api-Key",
        "X-Forwarded-For",
        "X-Real-Ip",
    ],
)
def test_a_value_that_may_be_a_secret_or_a_persons_is_not_kept(name: str) -> None:
    first, second = read_twice(name, "a value that nobody else has")
    assert first is not second
    assert first not in request._values


def test_what_is_kept_of_values_is_bounded() -> None:
    for number in range(3000):
        head_of(
            written(
                "/", [("User-Agent", f"a browser of version {number}"), ("Origin", "x" * 10_000 + str(number))]
            )
        )
    assert len(request._values) <= 512
    assert max(map(len, request._values)) <= 256
    assert all(value is kept for value, kept in request._values.items())
