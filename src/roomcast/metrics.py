"""Metrics: the tally of this process for Prometheus.

`roomcast serve --metrics-port` serves them by itself. Any other app adds them to its own:

```python
from prometheus_client import REGISTRY
from roomcast.metrics import RoomcastCollector

REGISTRY.register(RoomcastCollector())
```

No label is the name of a room or a user, so there are never more than some hundred time series.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from roomcast.counts import counts
from roomcast.health import health
from roomcast.tally import tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from roomcast.tally import Distribution


class RoomcastCollector:
    """Gives prometheus-client the numbers of this process at each scrape. Counting costs nothing in between."""

    def collect(self) -> Iterator[Metric]:
        """Give all metrics as they are now."""
        yield from _connections()
        yield from _rooms()
        yield _limits()
        yield _histogram(
            "roomcast_event_loop_lag_seconds", "How late the event loop came to what was due.", tally.lag
        )
        yield GaugeMetricFamily(
            "roomcast_draining", "Whether the server goes, and sees its connections off.", int(health.draining)
        )


def _connections() -> Iterator[Metric]:
    traffic = tally.traffic
    yield GaugeMetricFamily(
        "roomcast_connections", "WebSockets that are open, on Roomcast's own server.", len(tally.connections)
    )
    yield _counters("roomcast_handshakes", "Answers to requests for a WebSocket.", "result", tally.handshakes)
    yield _counters(
        "roomcast_messages",
        "Messages that came, and that were taken to be sent.",
        "direction",
        {"in": traffic.messages_in, "out": traffic.messages_out},
    )
    yield _counters(
        "roomcast_bytes",
        "Bytes of WebSockets that were read, and written, as they are on the wire before TLS.",
        "direction",
        {"in": traffic.bytes_in, "out": traffic.bytes_out},
    )
    yield _counters("roomcast_closes", "WebSockets that ended, by close code.", "code", tally.closes)
    yield GaugeMetricFamily("roomcast_queued_bytes", "Bytes that wait for peers to read.", tally.queued_bytes)


def _rooms() -> Iterator[Metric]:
    sizes = [rooms.size for rooms in tuple(tally.rooms)]
    yield GaugeMetricFamily("roomcast_members", "Members of rooms.", sum(members for members, _ in sizes))
    yield GaugeMetricFamily(
        "roomcast_rooms",
        "Rooms with members. One that has members in several processes counts in each.",
        sum(rooms for _, rooms in sizes),
    )
    yield CounterMetricFamily("roomcast_publications", "Publications that the broker has taken.", tally.published)
    yield CounterMetricFamily(
        "roomcast_deliveries", "Messages of rooms that were offered to members.", tally.delivered
    )
    yield _counters(
        "roomcast_drops", "Messages of rooms that were dropped, by the member's policy.", "policy", tally.dropped
    )
    yield _counters(
        "roomcast_broker_errors",
        "What the broker was asked for and did not do.",
        "operation",
        tally.broker_errors,
    )
    yield _histogram(
        "roomcast_delivery_seconds",
        "Time from a publication, by its publisher's clock, until the members of a process had been handed it.",
        tally.delay,
    )


def _limits() -> Metric:
    return _counters(
        "roomcast_limited",
        "Who was refused, cut off or warned, by what was too much or wrong.",
        "reason",
        {str(reason): count for reason, count in counts.items()},
    )


def _counters(name: str, documentation: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _histogram(name: str, documentation: str, distribution: Distribution) -> Metric:
    buckets = []
    count = 0
    for bound, within in zip((*distribution.bounds, inf), distribution.counts, strict=True):
        count += within
        buckets.append((str(bound) if bound < inf else "+Inf", float(count)))
    return HistogramMetricFamily(name, documentation, buckets=buckets, sum_value=distribution.sum)
