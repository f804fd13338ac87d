"""Redaction: what of a request may be written into a log."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import unquote_plus

REDACTED = "…"
"""What is logged in the place of a query string with a secret in it."""

_ENDS = re.compile("[&;]")
_WATCHED = ("uvicorn.access", "uvicorn.error", "uvicorn.asgi")
_parameters = {"token", "access_token", "id_token", "jwt"}


def keep_secret(parameter: str) -> None:
    """Have no query string logged that has a parameter of this name."""
    _parameters.add(parameter.lower())


def loggable(query: str) -> str:
    """Give a query string as it may be logged: not at all where one of its parameters holds a secret."""
    if any(unquote_plus(pair.partition("=")[0]).strip().lower() in _parameters for pair in _ENDS.split(query)):
        return REDACTED
    return query


class SecretsFilter(logging.Filter):
    """Takes secrets out of what uvicorn logs: of the access log's lines, and of the scopes that it traces."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, without the secrets in its arguments."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_without_secrets, record.args))
        return True


def watch_logs() -> None:
    """Have a filter before the loggers of uvicorn; once is enough, and more do no harm."""
    for name in _WATCHED:
        logger = logging.getLogger(name)
        if not any(isinstance(existing, SecretsFilter) for existing in logger.filters):
            logger.addFilter(SecretsFilter())


def _without_secrets(argument: Any) -> Any:  # noqa: ANN401 - whatever is logged
    if isinstance(argument, str) and "?" in argument:
        path, _, query = argument.partition("?")
        return f"{path}?{loggable(query)}"
    if isinstance(argument, dict) and "query_string" in argument:  # an ASGI scope, whose headers are left out
        return {**argument, "query_string": REDACTED, "subprotocols": REDACTED}
    return argument
