from __future__ import annotations

import pytest

from roomcast.client.refusals import body_text, explained
from roomcast.errors import HandshakeFailed, HandshakeRefused


def refusal(status: int, body: bytes = b"", **headers: str) -> HandshakeRefused:
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return HandshakeRefused("refused", status, pairs, body)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            refusal(401, b'{"detail":"no token"}', content_type="application/json"),
            (
                "the server refused with HTTP status 401 Unauthorized (no token): it wants to know who you are: "
                "use --token"
            ),
        ),
        (refusal(302, location="wss://example.org/"), "HTTP status 302 Found: it is at wss://example.org/ now: "),
        (refusal(200), "HTTP status 200 OK: what is there is no WebSocket, but something to open in a browser"),
        (refusal(503, b"busy\r\n"), "HTTP status 503 Service Unavailable (busy): the server takes nobody now"),
        (refusal(599), "HTTP status 599: its log says why"),
        (refusal(418), "HTTP status 418 I'm a Teapot: it does not open a WebSocket for this request"),
        (HandshakeFailed("no HTTP"), "no HTTP"),
    ],
)
def test_a_refusal_is_explained_in_one_line(error: HandshakeFailed, told: str) -> None:
    assert told in explained(error)
    assert "\n" not in explained(error)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (refusal(400, b"a\nb \x1b[31m c"), "a b [31m c"),
        (refusal(400, b'{"code":4003,"reason":"x"}'), "x"),
        (refusal(400, b'{"code":4003,"why":"x"}'), '{"code":4003,"why":"x"}'),
        (refusal(404, b"<title>Not\n here</title><p>x", content_type="text/html"), "Not here"),
        (refusal(404, b"<p>x", content_type="text/html"), ""),
        (refusal(400, b"x" * 1000), "x" * 300 + "…"),
        (refusal(400, b"\xff"), "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_body_is_told_in_one_line_that_a_terminal_may_show(error: HandshakeRefused, text: str) -> None:
    assert body_text(error) == text
