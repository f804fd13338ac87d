"""Three clients of a chat at once: each says hello, and prints for two seconds what it hears.

```sh
roomcast serve examples.chat_raw:application
python examples/three_clients.py [ws://localhost:8000/ws]
```
"""

import asyncio
import json
import sys
from contextlib import suppress

from websockets.asyncio.client import connect


async def chat(name: str, url: str) -> None:
    """Be one of the three."""
    async with connect(f"{url}?room=general") as websocket:
        print(name, "connected")
        await websocket.send(json.dumps({"text": f"Hello from {name}"}))
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                async for frame in websocket:
                    print(name, "received:", json.loads(frame))


async def main(url: str = "ws://localhost:8000/ws") -> None:
    """Have all three in the chat at the URL."""
    async with asyncio.TaskGroup() as clients:
        for name in ("Alice", "Bob", "Carol"):
            clients.create_task(chat(name, url))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
