"""Where a request may have its token, and which of several counts."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from roomcast.auth.tokens import TokenPlaces


def request(query: str = "", *headers: tuple[str, str]) -> HTTPConnection:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return HTTPConnection({"type": "websocket", "headers": pairs, "query_string": query.encode()})


@pytest.mark.parametrize(
    ("connection", "token"),
    [
        (request(), None),
        (request("", ("authorization", "Bearer a.b.c")), "a.b.c"),
        (request("", ("authorization", "bearer  a.b.c ")), "a.b.c"),
        (request("", ("authorization", "Basic dTpw")), None),
        (request("token=x", ("authorization", "Basic dTpw")), "x"),
        (request("", ("authorization", "Basic dTpw"), ("authorization", "Bearer x")), "x"),
        (request("", ("authorization", "Bearer")), None),
        (request("token=a.b.c"), "a.b.c"),
        (request("room=1&token=a%2Eb.c&token=other"), "a.b.c"),
        (request("%74oken=x"), "x"),
        (request("token="), None),
        (request("Token=x"), None),
        (request("", ("cookie", "a=b; roomcast_token=x.y.z")), "x.y.z"),
        (request("", ("sec-websocket-protocol", "roomcast.chat.v1, roomcast.token.a.b.c")), "a.b.c"),
        (request("", ("sec-websocket-protocol", "chat"), ("sec-websocket-protocol", "roomcast.token.x")), "x"),
        (request("", ("sec-websocket-protocol", "roomcast.token.")), None),
        (request("token=q", ("authorization", "Bearer h"), ("cookie", "roomcast_token=c")), "h"),
        (request("token=q", ("sec-websocket-protocol", "roomcast.token.s")), "s"),
        (request("token=q", ("cookie", "roomcast_token=c")), "q"),
    ],
)
def test_the_first_place_that_has_a_token_counts(connection: HTTPConnection, token: str | None) -> None:
    assert TokenPlaces().find(connection) == token


def test_the_parameter_and_the_cookie_can_have_other_names_or_be_left_out() -> None:
    connection = request("token=q&t=p", ("cookie", "roomcast_token=c; s=d"))
    assert TokenPlaces("t", "s").find(connection) == "p"
    assert TokenPlaces(None, "s").find(connection) == "d"
    assert TokenPlaces(None, None).find(connection) is None
