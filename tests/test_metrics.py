"""The collector: what prometheus-client makes of it, and that the dashboard asks for what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from roomcast import BrokerUnavailable, Rooms
from roomcast.metrics import RoomcastCollector
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.tally import tally
from tests.rooms.guests import Guest, until

DASHBOARD = Path(__file__).parents[1] / "docs" / "grafana.json"
WORDS_OF_PROMQL = {"sum", "by", "rate", "histogram_quantile", "le"}


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(RoomcastCollector())
    return registry


async def test_it_registers_beside_an_apps_own_metrics(registry: CollectorRegistry) -> None:
    async with Rooms() as rooms:
        guests = [await Guest(rooms, room).enter() for room in ("a", "a", "b")]
        before = registry.get_sample_value("roomcast_deliveries_total") or 0
        await rooms.publish("a", "hello")
        assert registry.get_sample_value("roomcast_members") == 3
        assert registry.get_sample_value("roomcast_rooms") == 2
        assert registry.get_sample_value("roomcast_deliveries_total") == before + 2
        for guest in guests:
            await guest.leave()
    assert registry.get_sample_value("roomcast_members") == 0


async def test_drops_are_counted_by_policy(registry: CollectorRegistry) -> None:
    def dropped() -> float:
        return registry.get_sample_value("roomcast_drops_total", {"policy": "drop_newest"}) or 0

    before = dropped()
    async with Rooms(outbox_bytes=1000) as rooms:
        guest = await Guest(rooms, "a", slow="drop_newest").enter()
        guest.client.stall()
        for _ in range(10):
            await rooms.publish("a", "x" * 300)
        await until(lambda: guest.member.stats.dropped)
        assert dropped() - before == guest.member.stats.dropped
        assert (registry.get_sample_value("roomcast_queued_bytes") or 0) >= guest.member.stats.queued_bytes > 0
        guest.client.resume()
        await guest.leave()


async def test_what_the_broker_could_not_do_is_counted(registry: CollectorRegistry) -> None:
    class Broken(MemoryBroker):
        async def publish(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise BrokerUnavailable("gone")

    def errors() -> float:
        return registry.get_sample_value("roomcast_broker_errors_total", {"operation": "publish"}) or 0

    before = errors()
    async with Rooms(Broken()) as rooms:
        with pytest.raises(BrokerUnavailable):
            await rooms.publish("a", "hello")
    assert errors() == before + 1


def test_both_formats_of_prometheus_can_be_written_and_read(registry: CollectorRegistry) -> None:
    tally.lag.observe(0.003)
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    (lag,) = [family for family in families if family.name == "roomcast_event_loop_lag_seconds"]
    buckets = [one.value for one in lag.samples if one.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == sum(tally.lag.counts) > 0
    assert generate_openmetrics(registry).endswith(b"# EOF\n")  # type: ignore[no-untyped-call]


def test_the_dashboard_asks_for_metrics_and_labels_that_exist(registry: CollectorRegistry) -> None:
    tally.dropped["disconnect"] += 0
    tally.closed(1000)
    known: dict[str, set[str]] = {}
    for source in (registry, REGISTRY):
        for family in source.collect():
            for sample in family.samples:
                known.setdefault(sample.name, {"job", "instance"}).update(sample.labels)
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) > 20
    asked = set()
    for expression in expressions:
        assert expression.count("(") == expression.count(")")
        metrics = re.findall(r"([a-z_]+)\{([^}]*)\}", expression)
        assert metrics, expression
        for metric, matchers in metrics:
            asked.add(metric)
            assert metric in known, expression
            assert set(re.findall(r"(\w+)=~?\"", matchers)) <= known[metric], expression
        for labels in re.findall(r"by \(([^)]*)\)", expression):
            assert set(labels.split(", ")) <= known[metrics[0][0]], expression
        rest = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", "", expression)
        words = set(re.findall(r"[a-z_]{2,}", rest))
        assert words <= WORDS_OF_PROMQL | {metric for metric, _ in metrics}, expression
    ours = {name.removesuffix("_created") for name in known if name.startswith("roomcast_")}
    unseen = {name for name in ours if not name.endswith(("_sum", "_count"))} - asked
    assert not unseen, "every metric of ours has its place on the dashboard"


def test_the_dashboards_parts_are_where_grafana_wants_them() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)\b", DASHBOARD.read_text(encoding="utf-8")))
    assert used <= variables, used
