"""A chat with rooms in plain ASGI: a room is a set of the `send` callables of those who are in it.

```sh
roomcast serve examples.chat_raw:application
python examples/three_clients.py
```

A client names its room as `?room=…`, or is in "general". It sends `{"text": "hi"}`, or any text at all, and
everybody in the room gets a message, itself included. `chat_roomcast.py` is the same chat on Roomcast.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from starlette.types import Receive, Scope, Send

members: defaultdict[str, set[Send]] = defaultdict(set)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the server, which calls this once for its own life and once for every connection."""
    match scope["type"]:
        case "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
        case "http":
            headers = [(b"content-type", b"text/plain"), (b"content-length", b"9")]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": b"Not Found"})
        case "websocket":
            await chat(scope, receive, send)


async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    """Have one client in its room, until it goes."""
    room = room_of(scope)
    await receive()  # websocket.connect: the client asks
    await send({"type": "websocket.accept"})
    members[room].add(send)
    try:
        await tell(members[room] - {send}, {"type": "system", "message": f"A user joined #{room}"})
        while (event := await receive())["type"] == "websocket.receive":
            if frame := event.get("text"):
                await tell(members[room], {"type": "message", "text": text_of(frame), "room": room})
    finally:
        members[room].remove(send)
        await tell(members[room], {"type": "system", "message": f"A user left #{room}"})
        if not members[room]:
            del members[room]


async def tell(listeners: Iterable[Send], message: dict[str, object]) -> None:
    """Send a message to each of the listeners, as JSON."""
    text = json.dumps(message)
    for send in tuple(listeners):
        with suppress(OSError, RuntimeError):  # it has gone, and its own task is about to hear of it
            await send({"type": "websocket.send", "text": text})


def room_of(scope: Scope) -> str:
    """Give the room that the query string names."""
    parameters = scope["query_string"].decode().split("&")
    named = [parameter.removeprefix("room=") for parameter in parameters if parameter.startswith("room=")]
    return named[0] if named else "general"


def text_of(frame: str) -> object:
    """Give the text of a JSON object, or else the frame as it is."""
    try:
        value = json.loads(frame)
    except ValueError:
        return frame
    return value.get("text", frame) if isinstance(value, dict) else frame
