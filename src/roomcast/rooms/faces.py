"""Faces: every framework's WebSocket as a `roomcast.WebSocket`.

No framework is imported here: whoever has an object of one has imported it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from roomcast.close_codes import CloseCode
from roomcast.errors import ConfigurationError, OutOfOrder
from roomcast.rooms.reading import READING, Reading, is_needed
from roomcast.websocket import WebSocket

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from roomcast.rooms.outlet import ServerOutlet

KNOWN = (
    "a roomcast.WebSocket, a Starlette, FastAPI or Litestar WebSocket, Quart's websocket, a Django Channels "
    "consumer, or (scope, receive, send)"
)


def as_websocket(ws: Any) -> WebSocket:  # noqa: ANN401 - any framework's
    """Give the roomcast face of a connection, whose end is seen from now on, whoever receives.

    Args:
        ws: a `roomcast.WebSocket`; a Starlette, FastAPI or Litestar `WebSocket`; Quart's `websocket`; a Django
            Channels consumer; or a tuple of scope, receive and send.

    Raises:
        TypeError: for anything else.
        ConfigurationError: for Quart's and Channels' on a server where only `Rooms.wrap` can see the end.
    """
    match ws:
        case WebSocket():
            if is_needed(ws.scope):
                ws.receive_from(_reading(ws.scope, ws.asgi[1]).receive)
            return ws
        case (scope, receive, send):
            return WebSocket(scope, _handed_over(scope, receive), send, accepted=_is_accepted(scope))
    if _is(ws, "starlette.websockets", "WebSocket"):
        return _starlette(ws)
    if _is(ws, "litestar.connection", "WebSocket"):
        return _litestar(ws)
    if _is(ws, "quart.wrappers", "Websocket"):
        return _quart(ws)
    if _is(ws, "channels.consumer", "AsyncConsumer"):
        return _channels(ws)
    raise TypeError(f"expected {KNOWN}, not {type(ws).__name__}")


def _is(ws: object, module: str, name: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(ws, getattr(loaded, name))


def _reading(scope: Scope, receive: Receive) -> Reading:
    reading = Reading(receive)
    scope[READING] = reading
    return reading


def _handed_over(scope: Scope, receive: Receive) -> Receive:
    """Of plain callables, the rooms take over `receive`: the app receives through its member."""
    if is_needed(scope):
        return _reading(scope, receive).receive
    reading: Reading | None = scope.get(READING)
    return reading.receive if reading is not None and reading.source == receive else receive


def _is_accepted(scope: Scope) -> bool:
    """Whether the connection was accepted, where no object of a framework's knows it."""
    reading: Reading | None = scope.get(READING)
    if reading is not None:
        return reading.accepted
    outlet: ServerOutlet = scope["extensions"]["roomcast.outlet"]["outlet"]
    return not outlet.is_opening()


def _starlette(ws: Any) -> WebSocket:  # noqa: ANN401
    """Starlette's, and so FastAPI's. Its own methods receive through `ws.receive`, which is replaced."""
    from starlette.websockets import WebSocketState  # noqa: PLC0415 - loaded already: `ws` is one

    if is_needed(ws.scope):
        ws.receive = _reading(ws.scope, ws.receive).receive
    accepted = ws.application_state is WebSocketState.CONNECTED
    face = WebSocket(ws.scope, ws.receive, ws.send, accepted=accepted)
    if ws.application_state is WebSocketState.DISCONNECTED or (
        ws.client_state is WebSocketState.DISCONNECTED and not _has_more(ws.scope)
    ):
        face.mark_closed(CloseCode.ABNORMAL)
    return face


def _litestar(ws: Any) -> WebSocket:  # noqa: ANN401
    """Litestar's. Its own methods receive through `ws.receive`, which is replaced."""
    if is_needed(ws.scope):
        ws.receive = _reading(ws.scope, ws.receive).receive
    face = WebSocket(ws.scope, ws.receive, ws.send, accepted=ws.connection_state in {"connect", "receive"})
    if ws.connection_state == "disconnect" and not _has_more(ws.scope):
        face.mark_closed(CloseCode.ABNORMAL)
    return face


def _has_more(scope: Scope) -> bool:
    """Whether the framework has seen the end only because it was read ahead for a handler."""
    reading: Reading | None = scope.get(READING)
    return reading is not None and reading.has_more


def _quart(ws: Any) -> WebSocket:  # noqa: ANN401
    """Quart's, of which `quart.websocket` is a proxy. A task of Quart's receives, and hides the disconnect."""
    ws = ws._get_current_object() if hasattr(ws, "_get_current_object") else ws
    _check_wrapped(ws.scope, "Quart", "app.asgi_app = rooms.wrap(app.asgi_app)")
    connected = False

    async def receive() -> Message:
        nonlocal connected
        if not connected:
            connected = True
            return {"type": "websocket.connect"}
        data = await ws.receive()
        return {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}

    async def send(event: Message) -> None:
        match event:
            case {"type": "websocket.accept"}:
                await ws.accept(subprotocol=event.get("subprotocol"))  # in vain where it was accepted already
            case {"type": "websocket.close"}:
                await ws.close(event["code"], event["reason"])
            case {"type": "websocket.http.response.start"}:
                pass  # Quart has no way to answer with one but to return it: it is refused without
            case {"type": "websocket.http.response.body"}:
                await ws.close(CloseCode.POLICY_VIOLATION)
            case _:
                text = event.get("text")
                await ws.send(event["bytes"] if text is None else text)

    return WebSocket(ws.scope, receive, send)


def _channels(consumer: Any) -> WebSocket:  # noqa: ANN401
    """A Django Channels consumer, asynchronous or not. Channels receives, and calls the consumer's methods."""
    scope: Scope = consumer.scope
    _check_wrapped(scope, "Django Channels", "application = rooms.wrap(application)")
    connected = False

    async def receive() -> Message:
        nonlocal connected
        if connected:
            raise OutOfOrder("Channels receives by itself: messages come to the consumer's own receive()")
        connected = True
        return {"type": "websocket.connect"}

    # For a consumer that runs in a thread, Channels makes a function of `send` that waits for it there.
    send: Send = getattr(consumer.base_send, "awaitable", consumer.base_send)
    return WebSocket(scope, receive, send, accepted=_is_accepted(scope))


def _check_wrapped(scope: Scope, framework: str, remedy: str) -> None:
    if is_needed(scope):
        raise ConfigurationError(
            f"{framework} receives by itself, and this server tells rooms nothing: that a connection ends can be "
            f"seen only around the app, by `{remedy}`"
        )
