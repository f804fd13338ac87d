from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from roomcast import jsontext
from roomcast.terminal.sample import Key, Sample, Spread

REGISTRY = CollectorRegistry()
CONNECTIONS = Gauge("roomcast_connections", "Open.", registry=REGISTRY)
CLOSES = Counter("roomcast_closes", "Ended.", ["code"], registry=REGISTRY)
LAG = Histogram("roomcast_lag_seconds", "Late.", buckets=(0.001, 0.01, 0.1), registry=REGISTRY)
OTHER = Gauge("python_info", "Not ours.", registry=REGISTRY)


def sample(time: float, prefix: str = "roomcast_") -> Sample:
    return Sample.parse(generate_latest(REGISTRY).decode(), time, prefix)


def test_metrics_are_read_by_what_they_are_and_rates_come_from_two_looks() -> None:
    CONNECTIONS.set(7)
    CLOSES.labels("1000").inc(3)
    for late in (0.0005, 0.0005, 0.005, 5.0):
        LAG.observe(late)
    first = sample(10.0)
    key = Key("roomcast_closes", (("code", "1000"),))
    assert first.gauges == {Key("roomcast_connections", ()): 7}
    assert first.counters == {key: 3}
    assert first.rate(key, None) is None
    CLOSES.labels("1000").inc(4)
    LAG.observe(0.05)
    second = sample(12.0)
    assert second.rate(key, first) == 2.0
    lag = Key("roomcast_lag_seconds", ())
    assert first.spreads[lag].quantile(0.5) == pytest.approx(0.001)
    assert first.spreads[lag].quantile(0.99) == 0.1, "what is over the last bound is not known better"
    lately = second.spreads[lag].since(first.spreads[lag])
    assert lately.count == 1
    assert 0.01 < (lately.quantile(0.5) or 0) <= 0.1
    told = jsontext.loads(jsontext.dumps(second.as_dict()))
    assert told["counters"] == {'roomcast_closes{code="1000"}': 7}
    assert told["histograms"]["roomcast_lag_seconds"]["count"] == 5


def test_only_what_was_asked_for_is_read() -> None:
    assert Key("python_info", ()) in sample(0.0, "").gauges
    assert Key("python_info", ()) not in sample(0.0).gauges


def test_a_server_that_restarted_has_no_rate_below_zero() -> None:
    key = Key("x", ())
    later, earlier = Sample(2.0, counters={key: 1}), Sample(1.0, counters={key: 9})
    assert later.rate(key, earlier) is None
    fresh = Spread({1.0: 2}, 2, 1.0)
    assert fresh.since(Spread({1.0: 9}, 9, 4.0)) is fresh


def test_no_number_is_what_json_has_not() -> None:
    found = Sample.parse("# TYPE roomcast_x gauge\nroomcast_x NaN\n", 0.0)
    assert found.as_dict()["gauges"] == {"roomcast_x": None}


def test_what_is_no_text_of_prometheus_is_refused() -> None:
    with pytest.raises(ValueError, match=r".*"):
        Sample.parse("<html>no</html>", 0.0)
