"""Logs: what `roomcast serve` logs, as text or as JSON, without what may be a secret."""

from __future__ import annotations

import json
import logging
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from uvicorn.config import LOG_LEVELS, LOGGING_CONFIG

from roomcast.addresses import in_a_log

FORMATS = ("text", "json")
"""What a line of the log can be."""


class WithoutQuery(logging.Filter):
    """Takes the query string, where tokens stand, from what uvicorn logs of a request, and forged addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (in_a_log(str(client)), method, str(path).partition("?")[0], version, status)
        return True


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: when, how important, by whom, what, and its further fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().strip(),
        }
        if record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == 5:
            names = ("client", "method", "path", "http_version", "status")
            line |= dict(zip(names, record.args, strict=True))
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_config(log_format: str, log_level: str) -> dict[str, Any]:
    """Give the configuration of the standard library's logging: uvicorn's, with Roomcast's own loggers in it.

    Args:
        log_format: one of `FORMATS`.
        log_level: uvicorn's name of the least important messages that are logged.
    """
    config: dict[str, Any] = deepcopy(LOGGING_CONFIG)
    config["filters"] = {"without_query": {"()": WithoutQuery}}
    config["handlers"]["access"]["filters"] = ["without_query"]
    config["loggers"]["roomcast"] = {"handlers": ["default"], "level": LOG_LEVELS[log_level], "propagate": False}
    if log_format == "json":
        config["formatters"] = {name: {"()": JsonFormatter} for name in config["formatters"]}
    return config
