"""A WebSocket in Starlette: its WebSocket class has a method where plain ASGI has an event.

```sh
roomcast serve examples.starlette_endpoint:app
python examples/client.py
```
"""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket


async def echo(ws: WebSocket) -> None:
    """Send back the text that one client sends, until it goes."""
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(f"Echo: {text}")


app = Starlette(routes=[WebSocketRoute("/ws", echo)])
