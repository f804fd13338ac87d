"""Binary messages in plain ASGI: whatever comes, goes back as bytes.

```sh
roomcast serve examples.binary_echo:application
python -m websockets ws://localhost:8000/ws
```

Bytes come back as they are, and text comes back as the bytes of its UTF-8; empty messages, too.
"""

from starlette.types import Receive, Scope, Send


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
            await binary_echo(receive, send)


async def binary_echo(receive: Receive, send: Send) -> None:
    """Send back what one client sends, as bytes, until it goes."""
    while True:
        match await receive():
            case {"type": "websocket.connect"}:
                await send({"type": "websocket.accept"})
            case {"type": "websocket.receive", "bytes": bytes(data)}:
                await send({"type": "websocket.send", "bytes": data})
            case {"type": "websocket.receive", "text": str(text)}:
                await send({"type": "websocket.send", "bytes": text.encode()})
            case {"type": "websocket.disconnect"}:
                return
