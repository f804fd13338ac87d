"""HTTP and WebSockets in one plain ASGI app: a page, and the chat that it talks to.

```sh
roomcast serve examples.http_and_websocket:application
```

Open http://localhost:8000 in two tabs and write. The chat is at /ws/chat and the echo at /ws/echo; they are
`chat_raw.py` and `echo.py`. A WebSocket to any other path is turned away, and any other page is not found.
"""

from starlette.types import Receive, Scope, Send

from examples.chat_raw import chat
from examples.echo import echo

SOCKETS = {"/ws/chat": chat, "/ws/echo": echo}
NOT_FOUND = 4004

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>WebSocket Chat</title>
<link rel="icon" href="data:,">
<form id="form">
  <input id="msg" placeholder="Message..." autocomplete="off" autofocus>
  <button>Send</button>
</form>
<ol id="log"></ol>
<script>
  const [form, input, log] = ["form", "msg", "log"].map((id) => document.getElementById(id));
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws/chat");

  socket.addEventListener("message", ({ data }) => {
    log.appendChild(document.createElement("li")).textContent = data;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    socket.send(JSON.stringify({ text: input.value }));
    form.reset();
  });
</script>
</html>
"""


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the server, which calls this once for its own life and once for every connection."""
    match scope["type"]:
        case "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
        case "http":
            await serve_page(scope, receive, send)
        case "websocket":
            await SOCKETS.get(scope["path"], turn_away)(scope, receive, send)


async def serve_page(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request: the page at /, and nothing elsewhere."""
    while (await receive()).get("more_body"):
        pass  # nobody needs the request's body, but it has to be read before the next request
    if scope["path"] == "/":
        await respond(send, 200, b"text/html; charset=utf-8", PAGE.encode())
    else:
        await respond(send, 404, b"text/plain", b"Not Found")


async def respond(send: Send, status: int, media_type: bytes, body: bytes) -> None:
    """Send a whole response."""
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def turn_away(_scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket to a path where there is none."""
    await receive()  # websocket.connect: the client asks
    await send({"type": "websocket.close", "code": NOT_FOUND})
