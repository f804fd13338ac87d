"""A WebSocket in FastAPI: Starlette's, declared with a decorator.

```sh
roomcast serve examples.fastapi_endpoint:app
python examples/client.py
```
"""

from fastapi import FastAPI, WebSocket

app = FastAPI()


@app.websocket("/ws")
async def greet(ws: WebSocket) -> None:
    """Greet one client, and then send back the text that it sends, until it goes."""
    await ws.accept()
    await ws.send_text("Connected!")
    async for text in ws.iter_text():
        await ws.send_text(f"Echo: {text}")
