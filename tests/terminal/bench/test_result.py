"""What a result says of itself: percentiles, what is missing, and whether it can be believed."""

from __future__ import annotations

import itertools
import re
from io import StringIO
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from roomcast.terminal.bench.histogram import Histogram
from roomcast.terminal.bench.plan import Plan
from roomcast.terminal.bench.report import report
from roomcast.terminal.bench.result import Result, ms
from roomcast.terminal.bench.show import bar_edges, summary


def result(latencies: list[int], *, late: int = 50_000, cpu: float = 0.3, **more: int) -> Result:
    windows = [Histogram(), Histogram()]
    for index, latency in enumerate(latencies):
        windows[index % 2].add(latency)
    found = Result("ws://localhost/ws/echo", Plan(10, 100, 128, 2), 1.0, windows, elapsed=2.0, cpu=cpu)
    for _ in latencies:
        found.lateness.add(late)
    found.sent = found.due = len(latencies)
    for name, value in more.items():
        setattr(found, name, value)
    return found


def shown(found: Result) -> str:
    console = Console(file=StringIO(), width=120)
    console.print(summary(found))
    text = console.file
    assert isinstance(text, StringIO)
    return text.getvalue()


STEADY = [1_000_000 + index * 1000 for index in range(1000)]


def test_a_result_that_kept_up_says_so() -> None:
    found = result(STEADY)
    assert found.doubts() == []
    assert found.failures() == []
    text = shown(found)
    assert "1.50 ms" in text
    assert "The benchmark itself kept up: 30% of a core" in text
    assert "!" not in text


@pytest.mark.parametrize(
    ("found", "doubt"),
    [
        (result(STEADY, cpu=0.97), "this program used 97% of a core"),
        (result(STEADY, late=1_500_000), "1 % of the messages were sent 1.5"),
    ],
    ids=["busy", "late"],
)
def test_a_result_that_says_more_of_the_benchmark_says_so(found: Result, doubt: str) -> None:
    assert doubt in found.doubts()[0]
    assert doubt in " ".join(shown(found).split())
    assert doubt in report(found, "today")
    assert "kept up" not in shown(found)


def test_lateness_does_not_matter_where_latencies_are_far_longer() -> None:
    assert result([50_000_000] * 100, late=2_000_000).doubts() == []


def test_what_is_missing_is_told_and_counted() -> None:
    found = result(STEADY, due=1010, unsent=3)
    found.closes[4029] = 2
    told = found.failures()
    assert told[0].startswith("10 of 1,010 deliveries did not come")
    assert told[1].startswith("3 messages were not sent")
    assert told[2] == "2 connections were closed by the server with 4029: too many messages or bytes a second"
    assert found.as_dict()["missing"] == 10
    assert all(failure in report(found, "today") for failure in told)


def test_one_is_told_as_one() -> None:
    found = result(STEADY, unsent=1)
    found.closes[4029] = 1
    assert [failure.partition(" closed")[0] for failure in found.failures()] == [
        "1 message was not sent: its connection was",
        "1 connection was",
    ]


def test_the_bars_count_every_latency_once() -> None:
    for latencies in (STEADY, [5], [0, 0], [10**9, 10**3, 10**6], [2**40]):
        histogram = Histogram.sum(result(latencies).windows)
        edges = bar_edges(histogram, 16)
        assert edges == sorted(edges)
        assert sum(histogram.between(a, b) for a, b in itertools.pairwise(edges)) == len(latencies)


def test_nothing_that_came_back_is_shown_as_nothing() -> None:
    assert "0 deliveries a second" in shown(result([]))
    assert "Nothing came back." in report(result([]), "today")


def test_the_report_is_one_page_that_needs_nothing_else() -> None:
    page = report(result(STEADY), "2026-01-01 00:00")
    assert not re.search(r"(src|href)=|url\(|@import|https?://", page)
    svgs = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(svgs) == 3
    for svg in svgs:
        ET.fromstring(svg)
    assert "nan" not in page.lower()


@pytest.mark.parametrize(
    ("nanoseconds", "text"), [(950, "0.95 µs"), (12_300, "12.3 µs"), (1_234_567, "1.23 ms"), (2.5e9, "2.50 s")]
)
def test_durations_have_three_digits(nanoseconds: float, text: str) -> None:
    assert ms(nanoseconds) == text
