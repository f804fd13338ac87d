"""The chat of `chat_raw.py` on Roomcast: the same on the wire, without the bookkeeping.

```sh
roomcast serve examples.chat_roomcast:application
python examples/three_clients.py
```

Who is in which room, and that all there are told, is Roomcast's work. So nobody waits for a member that reads
slowly, and with a broker that other processes share it is one chat for all of them. And a room's name may have
spaces and umlauts: what a client has to percent-encode comes decoded.
"""

import json

from starlette.types import Receive, Scope, Send

from roomcast import Joined, Publication, RoomEvent, Rooms, WebSocket


def encode(event: RoomEvent) -> str | bytes:
    """Write what happens in a room as its members get it."""
    if isinstance(event, Publication):
        return event.data
    verb = "joined" if isinstance(event, Joined) else "left"
    return json.dumps({"type": "system", "message": f"A user {verb} #{event.room}"})


rooms = Rooms(encoder=encode)


@rooms.wrap
async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the server, which calls this once for every connection; the rooms are open as long as it runs."""
    match scope["type"]:
        case "http":
            headers = [(b"content-type", b"text/plain"), (b"content-length", b"9")]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": b"Not Found"})
        case "websocket":
            await chat(WebSocket(scope, receive, send))


async def chat(ws: WebSocket) -> None:
    """Have one client in its room, until it goes."""
    room = ws.query.get("room") or "general"
    async with rooms.join(room, ws) as member:
        async for frame in member:
            if isinstance(frame, str) and frame:
                await rooms.publish(room, json.dumps({"type": "message", "text": text_of(frame), "room": room}))


def text_of(frame: str) -> object:
    """Give the text of a JSON object, or else the frame as it is."""
    try:
        value = json.loads(frame)
    except ValueError:
        return frame
    return value.get("text", frame) if isinstance(value, dict) else frame
