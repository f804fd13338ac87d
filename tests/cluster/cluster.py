"""A cluster: nodes in processes of their own on one broker, each on a link that can fail."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.cluster.link import Link
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[2]
APP = "tests.cluster.app:application"


class Node:
    """One `roomcast serve`.

    Args:
        broker: the URL of its broker.
        options: more of the command's options.
        env: variables of its environment, besides those of the tests.
    """

    def __init__(self, broker: str, *options: str, env: Mapping[str, str] | None = None) -> None:
        command = (
            "serve",
            APP,
            "--port",
            "0",
            "--broker",
            broker,
            "--log-level",
            "warning",
            "--no-limits",
            *options,
        )
        self.program = Program.roomcast(*command, cwd=ROOT, env=env)
        self.url = ""

    async def start(self) -> Self:
        """Start it, and wait until it serves."""
        self.program.start()
        match = await asyncio.to_thread(self.program.wait_for_line, r" on http://(\S+) ")
        self.url = f"ws://{match[1]}"
        return self

    async def stop(self) -> None:
        """Ask it to end, as a deployment does, and wait until it has."""
        self.url = ""
        assert await asyncio.to_thread(self.program.terminate) == 0, self.program.output
        await self.close()

    async def kill(self) -> None:
        """Kill it and its workers, at once and for good."""
        self.url = ""
        os.killpg(self.program.pid, signal.SIGKILL)
        await asyncio.to_thread(self.program.wait)
        await self.close()

    async def close(self) -> None:
        """Clear up, and end it where it still runs."""
        self.url = ""
        await asyncio.to_thread(self.program.__exit__)


class Cluster:
    """Nodes on one broker, and a link between it and each.

    Args:
        port: the broker's.
        url: gives the URL of the broker at a port, on the loopback.
        mark: what the links count in what comes from the broker.
        env: variables of the nodes' environment, besides those of the tests.
    """

    def __init__(
        self, port: int, url: Callable[[int], str], *, mark: bytes = b"", env: Mapping[str, str] | None = None
    ) -> None:
        self._port = port
        self._mark = mark
        self._env = env
        self._broker_url = url
        self._stack = AsyncExitStack()
        self.nodes: list[Node] = []
        self.links: list[Link] = []

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.gather(*(node.close() for node in self.nodes))
        await self._stack.aclose()

    @property
    def urls(self) -> list[str]:
        """Where the nodes are that serve."""
        return [node.url for node in self.nodes if node.url]

    async def add(self, *options: str) -> Node:
        """Start one more node, on a link of its own."""
        link = await self._stack.enter_async_context(Link(self._port, mark=self._mark))
        self.links.append(link)
        node = Node(self._broker_url(link.port), *options, env=self._env)
        self.nodes.append(node)
        return await node.start()

    async def replace(self, number: int) -> Node:
        """Start a node in the place of one that has ended, on the same link."""
        node = Node(self._broker_url(self.links[number].port), env=self._env)
        self.nodes[number] = node
        return await node.start()
