from __future__ import annotations

import pytest

from roomcast.client import Address
from roomcast.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("ws://example.org", "ws://example.org/"),
        ("ws://example.org:8000/ws/echo?a=b", "ws://example.org:8000/ws/echo?a=b"),
        ("localhost:8000/ws/echo", "ws://localhost:8000/ws/echo"),
        ("localhost", "ws://localhost/"),
        ("http://localhost:80/x", "ws://localhost/x"),
        ("https://example.org", "wss://example.org/"),
        ("wss://example.org:443/", "wss://example.org/"),
        ("wss://example.org:80/", "wss://example.org:80/"),
        ("ws://[::1]:8000/", "ws://[::1]:8000/"),
        ("ws://EXAMPLE.org/", "ws://example.org/"),
        ("ws://bücher.example/ä b?ö=ü", "ws://xn--bcher-kva.example/%C3%A4%20b?%C3%B6=%C3%BC"),
        ("ws://example.org/a%20b", "ws://example.org/a%20b"),
        ("ws://example.org/x#part", "ws://example.org/x"),
    ],
)
def test_a_url_is_read_as_people_write_it(url: str, written: str) -> None:
    assert str(Address.parse(url)) == written


def test_the_host_header_has_the_port_unless_it_is_the_schemes() -> None:
    assert Address.parse("ws://example.org:80").authority == "example.org"
    assert Address.parse("wss://example.org:80").authority == "example.org:80"
    assert Address.parse("ws://[::1]:8000").authority == "[::1]:8000"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://example.org", "ftp:// is no scheme of a server here: use ws:// or wss://"),
        ("ws://", "'ws://' names no host: write ws://HOST:PORT/PATH"),
        ("ws:///path", "names no host"),
        ("ws://example.org:port/", "is no URL: Port could not be cast to integer value as 'port'"),
        ("ws://example.org:99999/", "is no URL: Port out of range 0-65535"),
        ("ws://[::1/", "is no URL: Invalid IPv6 URL"),
        ("ws://me:secret@example.org/", "a user in the URL of example.org is not sent"),
        (f"ws://{'a' * 64}.example/", "is no URL"),
    ],
)
def test_what_is_no_url_is_refused_with_what_would_be_right(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Address.parse(url)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_path_is_added_only_where_there_is_none() -> None:
    assert str(Address.parse("ws://h").at("/ws/chat", room="a b&c", name=None)) == "ws://h/ws/chat?room=a+b%26c"
    assert str(Address.parse("ws://h/").at("/ws/chat")) == "ws://h/ws/chat"
    assert str(Address.parse("ws://h/own?x=1").at("/ws/chat", room="r")) == "ws://h/own?x=1&room=r"
