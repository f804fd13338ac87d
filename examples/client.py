"""A client of an echo: it says hello, and prints what comes back.

```sh
roomcast serve examples.echo:application
python examples/client.py [ws://localhost:8000/ws]
```
"""

import asyncio
import sys

from websockets.asyncio.client import connect


async def main(url: str = "ws://localhost:8000/ws") -> None:
    """Talk to the echo at the URL."""
    async with connect(url) as websocket:
        await websocket.send("Hello, WebSocket!")
        print(await websocket.recv())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
