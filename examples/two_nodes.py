"""One chat on two servers: starts Redis and two nodes, and has Alice on one of them talk to Bob on the other.

```sh
python examples/two_nodes.py
```

It needs `redis-server` (Debian: `apt-get install redis-server`), and ends all that it has started. The nodes serve
`chat_roomcast.py`, in which nothing says how many there are: that is the broker's URL alone.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

PATIENCE = 20
"""Seconds that a program may take to start, and a message to come."""


async def main() -> None:
    """Start everything, have the two talk, and end everything."""
    with ExitStack() as programs:
        redis, first, second = (free_port() for _ in range(3))
        folder = programs.enter_context(tempfile.TemporaryDirectory())
        programs.enter_context(running(redis_server(), "--port", str(redis), "--dir", folder, "--save", ""))
        await answers(redis)
        for port in (first, second):
            programs.enter_context(running(*node(port, broker=f"redis://127.0.0.1:{redis}")))
        await answers(first)
        await answers(second)
        print("Redis and two nodes are up")
        async with connect(url(first)) as alice, connect(url(second)) as bob:
            print("Alice is told:", await heard(alice))
            await alice.send(json.dumps({"text": "Hello, other node!"}))
            print("Bob hears:", await heard(bob))
            print("Alice hears:", await heard(alice))
            await bob.send(json.dumps({"text": "Hello, Alice!"}))
            print("Bob hears:", await heard(bob))
            print("Alice hears:", await heard(alice))


def node(port: int, *, broker: str) -> list[str]:
    """Give the command that starts one node: all that they share is the broker."""
    app = "examples.chat_roomcast:application"
    return [
        *(sys.executable, "-m", "roomcast", "serve", app),
        *("--port", str(port), "--broker", broker, "--log-level", "warning"),
    ]


def url(port: int) -> str:
    """Give where the chat of a node is."""
    return f"ws://127.0.0.1:{port}/ws?room=general"


async def heard(websocket: ClientConnection) -> str:
    """Give the text of the next message."""
    async with asyncio.timeout(PATIENCE):
        message = json.loads(await websocket.recv())
    return str(message.get("text") or message.get("message"))


@contextmanager
def running(*command: str) -> Iterator[None]:
    """Run a program, in the folder above this one, until the block ends."""
    program = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        yield
    finally:
        program.terminate()
        program.wait(PATIENCE)


async def answers(port: int) -> None:
    """Wait until something listens there."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def redis_server() -> str:
    """Find Redis, or say where to get it."""
    program = shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        sys.exit("This needs redis-server: on Debian, apt-get install redis-server")
    return program


if __name__ == "__main__":
    asyncio.run(main())
