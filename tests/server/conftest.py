"""Every test of the server runs on both event loops, and fails where the server logs what nobody expected."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from tests.server.serving import Log, Serve, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from tests.server.serving import Serving

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # noqa: ARG001 - the hook's signature
    item: pytest.Item,  # noqa: ARG001
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return LOOPS


@pytest.fixture(params=["httptools", "h11", "roomcast.server.http:HTTPProtocol"], ids=["httptools", "h11", "ours"])
def http(request: pytest.FixtureRequest) -> str:
    """uvicorn's HTTP classes, and ours."""
    implementation: str = request.param
    return implementation


@pytest.fixture
def log() -> Iterator[Log]:
    """What the server logs: a test that does not take a warning or an error fails."""
    log = Log()
    names = ("uvicorn.error", "uvicorn.access", "roomcast.server", "asyncio")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.INFO)
        logging.getLogger(name).addHandler(log)
    yield log
    for name in names:
        logging.getLogger(name).removeHandler(log)
        logging.getLogger(name).setLevel(levels[name])
    assert log.complaints() == []


@pytest.fixture
def serve(log: Log) -> Serve:  # noqa: ARG001 - it watches
    """Start servers with it."""

    def start(app: Any, **options: Any) -> AbstractAsyncContextManager[Serving]:
        return serving(app, **options)

    return start
