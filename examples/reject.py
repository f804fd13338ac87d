"""Turning a WebSocket away in plain ASGI: a close before the accept is a refusal.

```sh
roomcast serve examples.reject:application
python -m websockets "ws://localhost:8000/ws?token=valid-token"
python -m websockets ws://localhost:8000/ws
```

The token comes in the header `Authorization: Bearer …`, or else as `?token=…`. Without a good one the app closes
with code 4001. The client sees HTTP status 403 and no code: there is no WebSocket yet that could carry one.
"""

from starlette.types import Receive, Scope, Send

KNOWN_TOKENS = {"valid-token"}


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
            await members_only(scope, receive, send)


async def members_only(scope: Scope, receive: Receive, send: Send) -> None:
    """Let one client in if it has a token that is known."""
    await receive()  # websocket.connect: the client asks
    if token_of(scope) not in KNOWN_TOKENS:
        await send({"type": "websocket.close", "code": 4001})
        return
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass  # here is where your app begins


def token_of(scope: Scope) -> str:
    """Give the token that the request names, a header before a query parameter, or "" where it names none."""
    headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    parameters = scope["query_string"].decode().split("&")
    tokens = [header.removeprefix("Bearer ") for header in headers if header.startswith("Bearer ")]
    tokens += [parameter.removeprefix("token=") for parameter in parameters if parameter.startswith("token=")]
    return tokens[0] if tokens else ""
