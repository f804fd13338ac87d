"""Origins: from which pages a browser may come, told from nothing but a scope."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast import ConfigurationError, Origins


def scope(*headers: tuple[str, str], scheme: str = "ws") -> dict[str, Any]:
    return {"scheme": scheme, "headers": [(name.encode(), value.encode()) for name, value in headers]}


def asked(origin: str, host: str, *, scheme: str = "ws", forwarded: str | None = None) -> dict[str, Any]:
    more = () if forwarded is None else (("x-forwarded-host", forwarded),)
    return scope(("host", host), ("origin", origin), *more, scheme=scheme)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://chat.example.org", "chat.example.org", "ws"),
        ("http://chat.example.org", "chat.example.org:80", "ws"),
        ("http://chat.example.org:8000", "chat.example.org:8000", "ws"),
        ("http://CHAT.example.org", "chat.EXAMPLE.org", "ws"),
        ("https://chat.example.org", "chat.example.org", "wss"),
        ("https://chat.example.org", "chat.example.org:443", "wss"),
        (
            "https://chat.example.org",
            "chat.example.org",
            "ws",
        ),  # behind a proxy that has the TLS, and says nothing
        ("http://[::1]:8000", "[::1]:8000", "ws"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "ws"),
    ],
)
def test_the_servers_own_pages_may_connect(origin: str, host: str, scheme: str) -> None:
    assert Origins().problem(asked(origin, host, scheme=scheme)) is None


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://chat.example.org:8001", "chat.example.org:8000", "ws"),
        ("http://chat.example.org", "chat.example.org:8000", "ws"),
        ("http://chat.example.org", "chat.example.org", "wss"),  # a page that came without TLS, onto TLS
        ("https://chat.example.org", "chat.example.org:80", "ws"),
        ("http://evil.example.net", "chat.example.org", "ws"),
        ("http://chat.example.org.evil.net", "chat.example.org", "ws"),
        ("http://evilchat.example.org", "chat.example.org", "ws"),
        ("http://localhost:8000", "127.0.0.1:8000", "ws"),
        ("ftp://chat.example.org", "chat.example.org", "ws"),
        ("null", "chat.example.org", "ws"),
        ("null", "null", "ws"),
        ("", "chat.example.org", "ws"),
        ("file://", "chat.example.org", "ws"),
        ("http://chat.example.org/", "chat.example.org", "ws"),
        ("http://a@chat.example.org", "chat.example.org", "ws"),
        ("http://chat.example.org", "", "ws"),
        ("http://chat.example.org", "evil@chat.example.org", "ws"),
        ("http://chat.example.org\n", "chat.example.org", "ws"),
    ],
)
def test_no_other_page_may_connect(origin: str, host: str, scheme: str) -> None:
    assert Origins().problem(asked(origin, host, scheme=scheme)) is not None


def test_who_names_no_origin_is_no_browser_and_may_connect() -> None:
    assert Origins().problem(scope(("host", "chat.example.org"))) is None
    assert Origins("https://a.example").problem(scope()) is None


def test_two_origins_are_none() -> None:
    own = ("origin", "http://a.example")
    assert Origins().problem(scope(("host", "a.example"), own)) is None
    assert Origins().problem(scope(("host", "a.example"), own, own)) is not None


def test_behind_a_proxy_the_forwarded_host_is_the_servers_own() -> None:
    origins = Origins()
    assert origins.problem(asked("https://a.example", "10.0.0.7:8000", forwarded="a.example")) is None
    assert origins.problem(asked("https://a.example", "10.0.0.7:8000", forwarded="a.example, inner.lan")) is None
    assert origins.problem(asked("https://b.example", "10.0.0.7:8000", forwarded="a.example")) is not None


@pytest.mark.parametrize(
    ("origin", "is_in"),
    [
        ("https://app.example.org", True),
        ("https://app.example.org:443", True),
        ("https://app.example.org:444", False),
        ("http://app.example.org", False),
        ("https://b.example.com", True),
        ("https://a.b.example.com", True),
        ("https://example.com", False),
        ("https://badexample.com", False),
        ("https://b.example.com.evil.net", False),
        ("https://b.example.com:8443", False),
        ("http://b.example.com", False),
        ("http://dev.local:3000", True),
        ("chrome-extension://abcdef", True),
    ],
)
def test_origins_that_are_named_may_connect_too(origin: str, is_in: bool) -> None:
    origins = Origins(
        "https://APP.example.org", "https://*.example.com", "http://dev.local:3000", "chrome-extension://abcdef"
    )
    assert (origins.problem(asked(origin, "chat.example.org")) is None) is is_in


def test_a_star_lets_every_page_in() -> None:
    for origin in ("https://evil.example", "null"):
        assert Origins("*").problem(asked(origin, "a.example")) is None


@pytest.mark.parametrize(
    "text",
    [
        "example.org",
        "https://example.org/",
        "https://*",
        "https://a.*.org",
        "*.example.org",
        "null",
        "",
        "https://a b",
    ],
)
def test_what_is_no_origin_is_refused_with_what_would_be_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no origin: .* https://\*\.example\.org"):
        Origins(text)
