"""Spans of OpenTelemetry's: a handshake with its joins, a publish with its deliveries on other nodes."""

from __future__ import annotations

import contextvars
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from websockets.asyncio.client import connect

from roomcast import Publication, Rooms, websocket_app
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.rooms.events import TRACED, from_envelope
from roomcast.testing import LiveServer
from tests.rooms.guests import until

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler

    from roomcast import Position, WebSocket

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Carrier(MemoryBroker):
    """Carries each publication to a second node, which knows nothing of the first one's context."""

    def __init__(self, *nodes: Any) -> None:
        super().__init__()
        self.nodes = nodes
        self.carried: list[bytes] = []

    async def publish(self, room: str, payload: bytes, *, key: str | None = None, keep: bool = True) -> Position:
        self.carried.append(payload)
        for node in self.nodes:
            contextvars.Context().run(node.deliver, room, None, payload)
        return await super().publish(room, payload, key=key, keep=keep)


def provided(monkeypatch: pytest.MonkeyPatch, sampler: Sampler | None = None) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider() if sampler is None else TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    return provided(monkeypatch)


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = [span for span in spans.get_finished_spans() if span.name == name]
    return span


async def test_a_delivery_on_another_node_belongs_to_the_publish(spans: InMemorySpanExporter) -> None:
    async with Rooms() as other:
        broker = Carrier(other._node)
        async with Rooms(broker) as rooms:
            await rooms.publish("a", "hé")
    publish, deliver = named(spans, "publish"), named(spans, "deliver")
    assert deliver.context is not None
    assert publish.context is not None
    assert deliver.parent is not None
    assert deliver.context.trace_id == publish.context.trace_id
    assert deliver.parent.span_id == publish.context.span_id
    assert publish.attributes == {"roomcast.room": "a"}
    (envelope,) = broker.carried
    event = from_envelope("a", None, envelope)
    assert isinstance(event, Publication)
    assert event.data == "hé"


@pytest.mark.parametrize("data", ["text", b"\xff\x00", ""])
async def test_what_was_published_comes_out_of_the_history_as_it_was(
    spans: InMemorySpanExporter, data: str | bytes
) -> None:
    async with Rooms() as rooms:
        await rooms.publish("a", data, exclude="x" * 200)
        (publication,) = await rooms.history("a")
    assert (publication.data, publication.exclude) == (data, "x" * 200)
    assert spans.get_finished_spans()


async def test_a_publish_belongs_to_the_span_it_is_called_in(spans: InMemorySpanExporter) -> None:
    async with Rooms() as rooms:
        with trace.get_tracer("tests").start_as_current_span("request") as request:
            await rooms.publish("a", "hello")
    parent = named(spans, "publish").parent
    assert parent is not None
    assert parent.span_id == request.get_span_context().span_id


async def test_a_handshake_is_of_the_clients_trace_and_the_join_of_the_handshake(
    spans: InMemorySpanExporter,
) -> None:
    rooms = Rooms()

    @rooms.wrap
    @websocket_app
    async def app(ws: WebSocket) -> None:
        if ws.path == "/no":
            await ws.reject(status=404)
            return
        async with rooms.join("a", ws) as member:
            async for message in member:
                await rooms.publish("a", message)

    with LiveServer(app) as server:
        headers = {"traceparent": PARENT}
        async with connect(f"{server.ws_url}/ws?token=secret", additional_headers=headers) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
        with pytest.raises(Exception, match="404"):
            await connect(f"{server.ws_url}/no")
    await until(lambda: len(spans.get_finished_spans()) >= 4)
    handshake, refused = [span for span in spans.get_finished_spans() if span.name == "websocket handshake"]
    join, publish = named(spans, "join"), named(spans, "publish")
    assert handshake.context is not None
    assert join.parent is not None
    assert f"{handshake.context.trace_id:032x}" == PARENT[3:35]
    assert join.parent.span_id == handshake.context.span_id
    assert handshake.attributes is not None
    assert refused.attributes is not None
    assert handshake.attributes["http.response.status_code"] == 101
    assert refused.attributes["http.response.status_code"] == 404
    assert publish.parent is None, "a connection may last for days: what it says is no part of its handshake"
    assert "secret" not in "".join(str(span.attributes) for span in spans.get_finished_spans())


async def test_what_is_not_sampled_travels_without_a_context(monkeypatch: pytest.MonkeyPatch) -> None:
    provided(monkeypatch, ALWAYS_OFF)
    broker = Carrier()
    async with Rooms(broker) as rooms:
        await rooms.publish("a", "hello")
    assert [envelope[0] in TRACED for envelope in broker.carried] == [False]


async def test_without_a_provider_nothing_travels() -> None:
    broker = Carrier()
    async with Rooms(broker) as rooms:
        await rooms.publish("a", "hello")
    assert [envelope[0] in TRACED for envelope in broker.carried] == [False]


def test_it_works_where_opentelemetry_is_not_installed() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
import asyncio
import roomcast.server.uvicorn
from roomcast import Rooms, tracing
assert not tracing.INSTALLED and not tracing.is_on()
async def main():
    async with Rooms() as rooms:
        await rooms.publish("a", "hello")
        print((await rooms.history("a"))[0].data)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "hello\n"
