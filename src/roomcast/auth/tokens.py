"""Tokens: where in a request one may be."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from roomcast.redaction import keep_secret, watch_logs
from roomcast.websocket import TOKEN_SUBPROTOCOL

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

__all__ = ["TOKEN_SUBPROTOCOL", "TokenPlaces"]

PARAMETER = "token"
"""The query parameter that holds a token."""
COOKIE = "roomcast_token"
"""The cookie that holds a token."""


class TokenPlaces:
    """Finds the token of a request.

    The first of these that there is counts: `Authorization: Bearer TOKEN`; the subprotocol `roomcast.token.TOKEN`,
    offered beside the real one, for pages, whose scripts can set no header; the query parameter; the cookie. A
    cookie comes last, since a browser adds it whether its user meant it or not.

    What holds a token is not logged: from now on, no query string with that parameter is.

    Args:
        parameter: the name of the query parameter; None takes no token from there.
        cookie: the name of the cookie; None takes no token from there.
    """

    def __init__(self, parameter: str | None = PARAMETER, cookie: str | None = COOKIE) -> None:
        self._parameter = parameter
        self._cookie = cookie
        if parameter is not None:
            keep_secret(parameter)
        watch_logs()

    def find(self, connection: HTTPConnection) -> str | None:
        """Give the token, None where there is none."""
        return (
            _bearer(connection)
            or _subprotocol(connection)
            or self._from_query(connection)
            or self._from_cookie(connection)
            or None
        )

    def _from_query(self, connection: HTTPConnection) -> str | None:
        query = connection.scope.get("query_string", b"").decode("latin-1")
        return next((value for name, value in parse_qsl(query) if name == self._parameter), None)

    def _from_cookie(self, connection: HTTPConnection) -> str | None:
        return None if self._cookie is None else connection.cookies.get(self._cookie)


def _bearer(connection: HTTPConnection) -> str | None:
    """RFC 6750, section 2.1. Another scheme is somebody else's, such as a proxy's."""
    for header in connection.headers.getlist("authorization"):
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return None


def _subprotocol(connection: HTTPConnection) -> str | None:
    """Some servers, such as uvicorn with wsproto, leave no header of it, but the list in the scope."""
    headers = ",".join(connection.headers.getlist("sec-websocket-protocol"))
    for offered in (*headers.split(","), *connection.scope.get("subprotocols", ())):
        if offered.strip().startswith(TOKEN_SUBPROTOCOL):
            return str(offered).strip().removeprefix(TOKEN_SUBPROTOCOL)
    return None
