"""How a server's metrics are laid out."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from roomcast.terminal.sample import Sample
from roomcast.terminal.stats import Screen, table

METRICS = "".join(f"# TYPE roomcast_g{index:02} gauge\nroomcast_g{index:02} {index}\n" for index in range(10))
METRICS += "# TYPE roomcast_none_total counter\nroomcast_none_total 0\n"
METRICS += "".join(f"# TYPE roomcast_c{i:02}_total counter\nroomcast_c{i:02}_total 7\n" for i in range(10))
METRICS += """# TYPE roomcast_lag_seconds histogram
roomcast_lag_seconds_bucket{le="0.1"} 3
roomcast_lag_seconds_bucket{le="+Inf"} 3
roomcast_lag_seconds_count 3
roomcast_lag_seconds_sum 0.1
"""
GAUGES = [f"g{index:02}" for index in range(10)]
COUNTERS = [f"c{index:02}" for index in range(10)]


@pytest.fixture
def sample() -> Sample:
    return Sample.parse(METRICS, 1.0)


def lines(shown: object, width: int = 80, height: int = 30) -> list[str]:
    file = StringIO()
    Console(file=file, width=width, height=height).print(shown)
    return file.getvalue().splitlines()


def names(shown: list[str]) -> list[str]:
    return [line.split()[0] for line in shown]


def test_counters_come_last_and_only_those_that_have_counted(sample: Sample) -> None:
    assert names(lines(table(sample, None))) == ["metric", *GAUGES, "lag_seconds", *COUNTERS]


@pytest.mark.parametrize("height", [5, 15, 23])
def test_a_table_that_does_not_fit_says_how_much_is_not_shown(sample: Sample, height: int) -> None:
    shown = lines(Screen(sample, None), height=height)
    assert len(shown) == height
    assert shown[0].endswith("; Ctrl+C ends it")
    assert shown[2].startswith("metric")
    assert names(shown[3:-1]) == [*GAUGES, "lag_seconds", *COUNTERS][: height - 4]
    assert shown[-1].startswith(f"{21 - (height - 4)} more not shown")


def test_a_table_that_just_fits_is_whole(sample: Sample) -> None:
    assert names(lines(Screen(sample, None), height=24)[3:]) == [*GAUGES, "lag_seconds", *COUNTERS]


def test_trouble_of_more_lines_leaves_the_table_fewer(sample: Sample) -> None:
    shown = lines(Screen(sample, None, "nothing listens there " * 5), width=40, height=12)
    assert len(shown) == 12
    assert "; trying again" in " ".join(" ".join(shown[:4]).split())
    assert "more not shown" in shown[-1]
