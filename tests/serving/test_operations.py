"""What operators' tools ask of a node: metrics, whether it lives, whether it is ready."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from roomcast.serving.samples import Families, Family
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

APPS = Path(__file__).parents[1] / "apps"
WORKERS = pytest.mark.parametrize(
    "workers", [[], ["--workers", "2"], ["--reload"]], ids=["alone", "many", "reload"]
)


@contextmanager
def serving(app: str, *options: str) -> Iterator[tuple[Program, str]]:
    """Serve an app, and give the program and its URL."""
    arguments = [app] if app else []
    with Program.roomcast("serve", *arguments, "--port", "0", *options, cwd=APPS) as program:
        yield program, program.wait_for_line(r" on (http://\S+) ")[1]


def operators_url(program: Program) -> str:
    return program.wait_for_line(r"metrics on (http://\S+)/metrics; ")[1]


def value(text: str, sample: str, **labels: str) -> float:
    """The value of one sample of what a scrape gave."""
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            if one.name == sample and one.labels == labels:
                return one.value
    raise AssertionError(f"no {sample} {labels} in\n{text}")


def scrape(url: str) -> str:
    answer = httpx.get(f"{url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.raise_for_status().text


@WORKERS
def test_the_operators_port_tells_the_sum_of_all_processes(workers: list[str]) -> None:
    with serving("main:app", "--metrics-port", "0", *workers) as (program, url), ExitStack() as stack:
        operators = operators_url(program)
        assert httpx.get(f"{operators}/healthz").json() == {"status": "ok"}
        program.wait_for_line("Application startup complete", occurrence=2 if "2" in workers else 1)
        sockets = [stack.enter_context(connect(url.replace("http", "ws"), compression=None)) for _ in range(8)]
        for websocket in sockets:
            websocket.send("hello")
            assert websocket.recv(timeout=5) == "hello"
        text = scrape(operators)
        assert value(text, "roomcast_connections") == 8
        assert value(text, "roomcast_handshakes_total", result="accepted") == 8
        assert value(text, "roomcast_messages_total", direction="in") == 8
        assert value(text, "roomcast_messages_total", direction="out") == 8
        assert value(text, "roomcast_bytes_total", direction="in") == 8 * 11
        assert value(text, "roomcast_bytes_total", direction="out") == 8 * 7
        assert value(text, "process_open_fds") > 8
        assert httpx.get(f"{operators}/readyz").json() == {"status": "ok"}
        for websocket in sockets:
            websocket.close(4001)
        text = scrape(operators)
        assert value(text, "roomcast_connections") == 0
        assert value(text, "roomcast_closes_total", code="4001") == 8
        assert value(text, "roomcast_messages_total", direction="in") == 8
        assert httpx.get(f"{operators}/else").status_code == 404
        assert httpx.get(f"{url}/metrics").json()["pid"], "the app's own port is the app's"
        assert program.terminate() == 0


def test_what_a_killed_worker_had_counted_stays_in_the_sum() -> None:
    with serving("main:app", "--metrics-port", "0", "--workers", "2") as (program, url):
        operators = operators_url(program)
        program.wait_for_line("Application startup complete", occurrence=2)
        for _ in range(10):
            with connect(url.replace("http", "ws"), compression=None) as websocket:
                websocket.send("hello")
                assert websocket.recv(timeout=5) == "hello"
        assert value(scrape(operators), "roomcast_messages_total", direction="in") == 10
        os.kill(httpx.get(url).json()["pid"], signal.SIGKILL)
        program.wait_for_line("Application startup complete", occurrence=3)
        assert value(scrape(operators), "roomcast_messages_total", direction="in") == 10
        assert httpx.get(f"{operators}/readyz").is_success
        assert program.terminate() == 0


@WORKERS
def test_on_the_public_port_metrics_take_a_token(workers: list[str]) -> None:
    with serving("main:app", "--metrics-token", "sesame", *workers) as (program, url):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "sesame"}):
            refused = httpx.get(f"{url}/metrics", headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert "roomcast_" not in refused.text
        with connect(url.replace("http", "ws"), compression=None):
            answer = httpx.get(f"{url}/metrics", headers={"authorization": "Bearer sesame"})
            assert value(answer.text, "roomcast_connections") == 1
        assert httpx.get(url).json()["pid"]
        assert program.terminate() == 0
        assert "sesame" not in program.output


def test_the_operators_port_takes_the_token_too_where_there_is_one() -> None:
    with serving("main:app", "--metrics-port", "0", "--metrics-token", "sesame") as (program, url):
        operators = operators_url(program)
        assert httpx.get(f"{operators}/metrics").status_code == 401
        assert httpx.get(f"{operators}/metrics", headers={"authorization": "Bearer sesame"}).is_success
        assert httpx.get(f"{operators}/readyz").is_success
        assert httpx.get(f"{url}/metrics").json()["pid"]


def test_a_scraper_that_prefers_openmetrics_gets_it() -> None:
    with serving("main:app", "--metrics-port", "0") as (program, _):
        headers = {"accept": "application/openmetrics-text; version=1.0.0"}
        answer = httpx.get(f"{operators_url(program)}/metrics", headers=headers)
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")


def test_rooms_are_counted_and_no_name_is_a_label() -> None:
    with serving("", "--metrics-port", "0") as (program, url):
        chat = url.replace("http", "ws") + "/ws/chat?room=secretroom&name=secretname"
        with connect(chat) as one, connect(chat) as other:
            one.send('{"text": "hello"}')
            for websocket in (one, other):
                while "hello" not in str(websocket.recv(timeout=5)):
                    pass
            text = scrape(operators_url(program))
        assert value(text, "roomcast_members") == 2
        assert value(text, "roomcast_rooms") == 1
        assert value(text, "roomcast_publications_total") == 1
        assert value(text, "roomcast_deliveries_total") >= 2
        assert value(text, "roomcast_delivery_seconds_count") == 1
        assert "secret" not in text


def test_sums_add_what_can_be_added() -> None:
    def process(connections: float, started: float) -> Families:
        return Families(
            a=Family("a", "", "gauge", {("a", ()): connections}),
            b=Family("b", "", "counter", {("b_total", (("x", "1"),)): 2.0, ("b_created", (("x", "1"),)): started}),
            process_start_time_seconds=Family(
                "process_start_time_seconds", "", "gauge", {("process_start_time_seconds", ()): started}
            ),
        )

    parts = [process(3, 100.0), process(4, 90.0)]
    total = Families.sum([Families.from_json(part.to_json()) for part in parts])
    assert total["a"].samples == {("a", ()): 7}
    assert total["b"].samples == {("b_total", (("x", "1"),)): 4.0, ("b_created", (("x", "1"),)): 90.0}
    assert total["process_start_time_seconds"].samples == {("process_start_time_seconds", ()): 90.0}
    assert set(total.counted()) == {"b"}
    assert parts[0]["a"].samples == {("a", ()): 3}, "what is added up stays as it is"
