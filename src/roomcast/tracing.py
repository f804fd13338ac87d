"""Tracing: spans of OpenTelemetry's, where it is installed (the `otel` extra) and a tracer provider is set up.

Around a handshake, a join, a publish, and a delivery, which belongs to the publish on whatever node that was: its
context travels in the envelope. Where there is no OpenTelemetry, or no provider, nothing is done, and nothing
travels.

A connection may last for days. So its handshake is a trace, with the joins in it, and what its handler publishes
later is none of it: a publish belongs to the span that is current where it is called, or begins a trace.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

try:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # the extra is not installed
    INSTALLED = False
else:
    INSTALLED = True
    trace.get_tracer_provider()  # that one is set up which the environment may name

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from opentelemetry.trace import Span, Tracer

SPAN = "roomcast.span"
"""Where the span of a connection's handshake is in its scope."""
TRACEPARENT_BYTES = 55
"""How long a `traceparent` is (W3C Trace Context, version 00)."""

_NOTHING = nullcontext()
# To ask OpenTelemetry costs a microsecond, for it looks into the environment: too much for every publication.
_IS_SEEN = INSTALLED and hasattr(trace, "_TRACER_PROVIDER")


def is_on() -> bool:
    """Whether somebody wants spans."""
    if _IS_SEEN:
        return trace._TRACER_PROVIDER is not None
    return INSTALLED and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


class HandshakeSpan:
    """The span of one handshake, from the request to the answer.

    It belongs to the trace that the client names in its `traceparent` header. The query string, where tokens
    stand, is no part of it.

    Args:
        scope: the connection's ASGI scope, which has it from now on.
    """

    __slots__ = ("_span",)

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        attributes = {"url.scheme": scope["scheme"], "url.path": scope["path"]}
        if scope.get("client"):
            attributes["client.address"] = str(scope["client"][0])
        self._span = _tracer().start_span(
            "websocket handshake",
            context=TraceContextTextMapPropagator().extract(carrier),
            kind=trace.SpanKind.SERVER,
            attributes=attributes,
        )
        scope[SPAN] = self._span

    def end(self, status: int) -> None:
        """The handshake was answered with an HTTP status, or not at all: 0."""
        if status:
            self._span.set_attribute("http.response.status_code", status)
        if not status or status >= 500:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


def joining(room: str, scope: MutableMapping[str, Any]) -> AbstractContextManager[object]:
    """Be in a span while a connection joins a room: of the current one, or else of the connection's handshake."""
    return _join(room, scope) if is_on() else _NOTHING


@contextmanager
def _join(room: str, scope: MutableMapping[str, Any]) -> Iterator[None]:
    context = None
    handshake: Span | None = scope.get(SPAN)
    if handshake is not None and not trace.get_current_span().get_span_context().is_valid:
        context = trace.set_span_in_context(handshake)
    with _tracer().start_as_current_span("join", context=context, attributes={"roomcast.room": room}):
        yield


@contextmanager
def publishing(room: str) -> Iterator[bytes]:
    """Be in a span while something is published; gives the `traceparent` to send along, b"" for none."""
    with _tracer().start_as_current_span(
        "publish", kind=trace.SpanKind.PRODUCER, attributes={"roomcast.room": room}
    ) as span:
        context = span.get_span_context()
        if context.trace_flags.sampled:
            yield f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}".encode()
        else:
            yield b""


@contextmanager
def delivering(room: str, traceparent: bytes) -> Iterator[None]:
    """Be in a span, of the trace of the publish, while its publication is handed to the members."""
    context = TraceContextTextMapPropagator().extract({"traceparent": traceparent.decode("latin-1")})
    with _tracer().start_as_current_span(
        "deliver", context=context, kind=trace.SpanKind.CONSUMER, attributes={"roomcast.room": room}
    ):
        yield


def _tracer() -> Tracer:
    return trace.get_tracer("roomcast")
