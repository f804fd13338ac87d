"""An echo in plain ASGI: a WebSocket is a few events, which the app receives and sends.

```sh
roomcast serve examples.echo:application
python examples/client.py
```

Text comes back as `Echo: ` and the text, bytes come back as they are, and an empty message does not come back.
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
            await echo(scope, receive, send)


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Send back what one client sends, until it goes."""
    while True:
        match await receive():
            case {"type": "websocket.connect"}:
                await send({"type": "websocket.accept"})
            case {"type": "websocket.receive", "text": str(text)} if text:
                await send({"type": "websocket.send", "text": f"Echo: {text}"})
            case {"type": "websocket.receive", "bytes": bytes(data)} if data:
                await send({"type": "websocket.send", "bytes": data})
            case {"type": "websocket.disconnect"}:
                return
