"""What is logged of a request holds no token."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from roomcast.redaction import REDACTED, keep_secret, loggable, watch_logs

TRACE = 5


@pytest.mark.parametrize(
    "query",
    [
        "token=secret",
        "room=a&token=secret",
        "token=secret&room=a",
        "TOKEN=secret",
        "%74oken=secret",
        "t%6Fken=secret&x",
        "+token=secret",
        "a;token=secret",
        "access_token=secret",
        "token",
        "jwt=secret",
    ],
)
def test_a_query_with_a_token_is_not_logged_at_all(query: str) -> None:
    assert loggable(query) == REDACTED


@pytest.mark.parametrize("query", ["", "room=a", "room=token", "tokens=1", "a=b&c=d%20"])
def test_any_other_query_is_logged_as_it_is(query: str) -> None:
    assert loggable(query) == query


def test_an_app_may_have_another_name_for_it() -> None:
    assert loggable("session_of_this_test=1") == "session_of_this_test=1"
    keep_secret("Session_Of_This_Test")
    assert loggable("session_of_this_test=1") == REDACTED


@pytest.mark.parametrize("name", ["uvicorn.access", "uvicorn.error", "uvicorn.asgi"])
def test_uvicorns_logs_have_none(name: str, caplog: pytest.LogCaptureFixture) -> None:
    watch_logs()
    watch_logs()
    logger = logging.getLogger(name)
    assert len([each for each in logger.filters if type(each).__name__ == "SecretsFilter"]) == 1
    logger.addHandler(caplog.handler)
    before = logger.level
    logger.setLevel(TRACE)
    scope: dict[str, Any] = {
        "path": "/",
        "query_string": b"token=secret",
        "subprotocols": ["roomcast.token.secret"],
    }
    try:
        logger.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/?token=secret&a=b", "1.1", 200)
        logger.info('%s - "WebSocket %s" [accepted]', "127.0.0.1:1", "/ws?room=a")
        logger.log(TRACE, "%s [%d] Started scope=%s", "ASGI", 1, scope)
        logger.info("nothing")
    finally:
        logger.setLevel(before)
        logger.removeHandler(caplog.handler)
    assert "secret" not in caplog.text
    assert '"GET /?… HTTP/1.1" 200' in caplog.text
    assert "/ws?room=a" in caplog.text
    assert scope["query_string"] == b"token=secret"
