"""`roomcast stats` against a server with metrics."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_asgi_app
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from roomcast.testing import LiveServer
from tests.cli.piped import complaint, free_port, roomcast
from tests.cli.terminal import CTRL_C, Terminal
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response


class Metrics:
    """A server whose metrics a test changes."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.connections = Gauge("roomcast_connections", "Open.", registry=registry)
        self.closes = Counter("roomcast_closes", "Ended.", ["code"], registry=registry)
        self.lag = Histogram("roomcast_lag_seconds", "Late.", registry=registry)
        Gauge("other", "Not ours.", registry=registry).set(1)
        self.connections.set(1234)
        self.closes.labels("1000").inc(5)
        self.lag.observe(0.003)
        self.app = Starlette(
            routes=[
                Mount("/metrics", make_asgi_app(registry)),
                Route("/page", lambda _: PlainTextResponse("<html>")),
                Route("/none", lambda _: PlainTextResponse("# TYPE x gauge\nx 1\n")),
                Route("/closed", _closed),
            ]
        )


def _closed(request: Request) -> Response:
    if request.headers.get("authorization") == "Bearer secret":
        return PlainTextResponse("roomcast_x 1\n")
    return PlainTextResponse("no", 401)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@contextmanager
def served(metrics: Metrics) -> Iterator[LiveServer]:
    with LiveServer(metrics.app, lifespan="off") as live:
        yield live


def test_a_pipe_gets_the_table_once(metrics: Metrics) -> None:
    with served(metrics) as live:
        done = roomcast("stats", f"{live.url}/metrics/")
        assert done.returncode == 0
        assert re.search(r"connections +1,234\b", done.stdout)
        assert re.search(r"closes code=1000 +5\b", done.stdout)
        assert re.search(r"lag_seconds +1 .*ms", done.stdout)
        assert "other" not in done.stdout
        assert "other" in roomcast("stats", f"{live.url}/metrics/", "--all").stdout


def test_json_can_be_read_by_a_program(metrics: Metrics) -> None:
    with served(metrics) as live:
        done = roomcast("stats", f"{live.url}/metrics/", "--once", "--json")
        assert json.loads(done.stdout)["gauges"] == {"roomcast_connections": 1234}
        with Program.roomcast("stats", f"{live.url}/metrics/", "--json", "--interval", "0.1") as program:
            program.wait_for_line("roomcast_connections.: ?1234")
            metrics.connections.set(7)
            program.wait_for_line("roomcast_connections.: ?7")
            program.press_ctrl_c()
            assert program.wait() == 0
            assert program.stderr == ""


def test_a_person_sees_what_changes_and_a_server_that_goes(metrics: Metrics) -> None:
    with served(metrics) as live, Terminal("stats", f"{live.url}/metrics/", "--interval", "0.1") as terminal:
        terminal.wait_for(r"connections +1,234")
        metrics.closes.labels("1000").inc(1000)
        terminal.wait_for(r"closes code=1000 +1,005 +[1-9]")
        live.__exit__(None, None, None)
        terminal.wait_for("nothing listens on 127.0.0.1, port .*trying\\s+again")
        terminal.type(CTRL_C)
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.shown


def test_a_token_opens_what_is_closed(metrics: Metrics) -> None:
    with served(metrics) as live:
        error = complaint("stats", f"{live.url}/closed", status=3)
        assert error == f"{live.url}/closed answers with HTTP status 401 Unauthorized: it wants a --token"
        assert "x " in roomcast("stats", f"{live.url}/closed", "--token", "secret").stdout


def test_where_there_are_no_metrics_it_says_what_there_is(metrics: Metrics) -> None:
    with served(metrics) as live:
        assert "are no metrics of Prometheus' format" in complaint("stats", f"{live.url}/page", status=3)
        assert "among the metrics at" in complaint("stats", f"{live.url}/none", status=3)
        assert "HTTP status 404 Not Found: there are no metrics at this path" in complaint(
            "stats", f"{live.url}/missing", status=3
        )
    port = free_port()
    error = complaint("stats", f"localhost:{port}", status=3)
    assert error == f"nothing listens on localhost, port {port}: is the server running there?"
