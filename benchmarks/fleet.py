"""A fleet: Redis, and nodes that share it, as processes whose CPU and memory can be told."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import Failed, ServerProcess, Usage, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

APPS = Path(__file__).parent / "apps"


class Fleet:
    """Nodes on one Redis.

    Args:
        broker: Redis.
        nodes: what shares it.
        url: Redis' URL.
    """

    def __init__(self, broker: ServerProcess, nodes: list[ServerProcess], url: str) -> None:
        self.broker = broker
        self.nodes = nodes
        self.url = url

    @property
    def ports(self) -> list[int]:
        """Where the nodes are."""
        return [node.port for node in self.nodes]

    def usage(self) -> tuple[Usage, Usage]:
        """Say what all nodes together, and Redis, have used until now."""
        each = [node.usage() for node in self.nodes]
        whole = Usage(
            sum(usage.cpu_seconds for usage in each),
            sum(usage.resident for usage in each),
            sum(usage.peak for usage in each),
        )
        return whole, self.broker.usage()


@contextmanager
def fleet(nodes: int) -> Iterator[Fleet]:
    """Start Redis and so many nodes, on any cores, until the block ends.

    Raises:
        Failed: there is no Redis, or something did not start.
    """
    program = shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Failed("there is no redis-server here: on Debian, apt-get install redis-server")
    with ExitStack() as stack:
        port = free_port()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        broker = stack.enter_context(running(command, port, None, folder))
        url = f"redis://127.0.0.1:{port}"
        each = [stack.enter_context(_node(url, folder)) for _ in range(nodes)]
        yield Fleet(broker, each, url)


@contextmanager
def _node(broker: str, folder: str) -> Iterator[ServerProcess]:
    port = free_port()
    command = [
        *("env", f"ROOMCAST_BROKER={broker}", sys.executable, "-m", "uvicorn", "quiet:application"),
        *("--app-dir", str(APPS), "--port", str(port), "--log-level", "warning", "--no-access-log"),
        *("--ws", "roomcast.server.uvicorn:WebSocketProtocol", "--http", "roomcast.server.http:HTTPProtocol"),
        *("--loop", "uvloop", "--backlog", "1024"),
    ]
    with running(command, port, None, folder) as node:
        yield node
