"""Real Redis servers that tests start, break and end: one alone, a cluster, and a master that sentinels watch.

```python
with RedisServer(tmp_path / "redis") as redis:        # started, on a free port, with an append-only file
    Rooms(redis.url)
    redis.kill()                                       # kill -9; `stop()` asks it to end (SIGTERM)
    redis.start()                                      # again: same port, same data
    with redis.frozen():                               # SIGSTOP, and SIGCONT at the end of the block
        ...
    redis.command("SCRIPT", "FLUSH")                   # any command, on a connection of its own

with RedisCluster(tmp_path / "redis") as cluster:      # three masters; `cluster.servers` are RedisServers
    Rooms(cluster.url)

with RedisSentinels(tmp_path / "redis") as redis:      # a master, a replica, one sentinel that may fail over alone
    Rooms(redis.url)
    redis.master.kill()
    redis.wait_for_failover()                          # until the sentinel names the replica as the master
```

- `RedisServer(folder, *settings, append=True, unix=False, tls=None)`: `settings` are lines of redis.conf, such as
  `"maxmemory 4mb"`; `append=False` keeps nothing on the disk; `unix=True` listens on a Unix socket only.
- `url` (redis://127.0.0.1:PORT/0), `port`, `pid`, `running`; `start`, `stop`, `kill`, `freeze`, `thaw`, `command`.
- Leaving the `with` block kills whatever still runs. `start` returns once it answers a PING (also with an error:
  a server that asks for a password has started). Everything blocks, for tenths of a second: call it from a test
  with an event loop where that may stand still so long, or through `asyncio.to_thread`.

`REDIS_SERVER` is the program, None where there is none; `needs_redis` skips a test there, unless CI=true.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as Unconnected
from redis.exceptions import TimeoutError as Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE = 20.0
"""Seconds that a server may take to do what it is asked for, on a loaded machine."""
PAUSE = 0.02
"""Seconds between two looks at a server."""

REDIS_SERVER = shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
"""The program, None where there is none."""

needs_redis = pytest.mark.skipif(
    REDIS_SERVER is None and os.environ.get("CI") != "true", reason="there is no redis-server here"
)
"""Skips a test where there is no redis-server; CI has one."""


class RedisFailed(AssertionError):
    """A server did not do what it was asked for; the message has the end of its log."""


class Tls(NamedTuple):
    """What a server needs to speak TLS, and its clients to believe it: files in PEM format."""

    certificate: Path
    key: Path
    authority: Path


class RedisServer:
    """One redis-server on the loopback interface, in a folder of its own.

    Args:
        folder: where its data and log are; made where it is not there.
        settings: lines of redis.conf.
        append: whether it keeps what it is told in an append-only file.
        unix: whether it listens on a Unix socket, and on no port.
        tls: what it speaks TLS with, on its only port.
    """

    def __init__(
        self, folder: Path, *settings: str, append: bool = True, unix: bool = False, tls: Tls | None = None
    ) -> None:
        self.folder = folder
        self.port = 0 if unix else free_port()
        self._settings = settings
        self._append = append
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, as a broker's URL."""
        if not self.port:
            return f"unix://{self.folder / 'redis.sock'}"
        if self._tls is not None:
            return f"rediss://localhost:{self.port}/0?tls_ca={self._tls.authority}"
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, "the server was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it logged so far."""
        log = self.folder / "redis.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def start(self) -> Self:
        """Start it, on the port and with the data that it had; wait until it answers."""
        assert REDIS_SERVER is not None, "there is no redis-server"
        assert not self.running
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "redis.conf"
        if not config.exists():  # a sentinel and a cluster's node write into theirs
            config.write_text("".join(f"{line}\n" for line in self._config()))
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [REDIS_SERVER, str(config), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        self.wait_until(self._answers, "answer")
        return self

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, without a chance to write anything."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): its connections stay, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze it while the block runs."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def command(self, *command: str | bytes | int) -> Any:
        """Give it a command, on a connection of its own, and return the answer.

        Raises:
            redis.exceptions.RedisError: the server did not answer, or refused.
        """
        with closing(self._client()) as client:
            return client.execute_command(*command)

    def info(self, section: str) -> dict[str, Any]:
        """Give a section of what it tells about itself."""
        told: dict[str, Any] = self.command("INFO", section)
        return told

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds.

        Raises:
            RedisFailed: it did not in time, or the server has ended.
        """
        deadline = time.monotonic() + DEADLINE
        while not condition():
            if not self.running or time.monotonic() > deadline:
                raise RedisFailed(f"the server did not {what}; its log ends with\n{self.log[-2000:]}")
            time.sleep(PAUSE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        if self.running:
            self.kill()

    def _config(self) -> Iterator[str]:
        yield f"dir {self.folder}"
        yield 'save ""'
        yield f"appendonly {'yes' if self._append else 'no'}"
        # What it acknowledges is to survive a kill -9: with `everysec`, it puts off writing while the disk lags.
        yield "appendfsync no"
        yield "bind 127.0.0.1"
        if self._tls is not None:
            yield from ("port 0", f"tls-port {self.port}", "tls-auth-clients no")
            yield f"tls-cert-file {self._tls.certificate}"
            yield f"tls-key-file {self._tls.key}"
            yield f"tls-ca-cert-file {self._tls.authority}"
        else:
            yield f"port {self.port}"
        if not self.port:
            yield f"unixsocket {self.folder / 'redis.sock'}"
        yield from self._settings

    def _arguments(self) -> list[str]:
        return []

    def _client(self) -> Redis:
        timeouts: dict[str, Any] = {"socket_timeout": DEADLINE, "socket_connect_timeout": DEADLINE}
        if not self.port:
            return Redis(unix_socket_path=str(self.folder / "redis.sock"), **timeouts)
        if self._tls is not None:
            return Redis(
                host="localhost", port=self.port, ssl=True, ssl_ca_certs=str(self._tls.authority), **timeouts
            )
        return Redis(host="127.0.0.1", port=self.port, **timeouts)

    def _answers(self) -> bool:
        try:
            self.command("PING")
        except AuthenticationError:
            return True
        except (Unconnected, Unanswered):
            return False
        except RedisError:
            return True
        return True

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server was not started"
        self._process.send_signal(number)
        self._process.wait(DEADLINE)


class RedisCluster:
    """Three masters that share the slots of a cluster, without replicas.

    Attributes:
        servers: the masters.
    """

    def __init__(self, folder: Path, *settings: str) -> None:
        self.servers = [
            RedisServer(
                folder / str(number),
                "cluster-enabled yes",
                f"cluster-port {free_port()}",
                "cluster-node-timeout 2000",
                *settings,
            )
            for number in range(3)
        ]
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """Where it is, as a broker's URL."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def start(self) -> Self:
        """Start the masters, and make a cluster of them."""
        for server in self.servers:
            self._running.enter_context(server)
        first, *others = self.servers
        for number, server in enumerate(self.servers):
            slots = 16384 * number // 3, 16384 * (number + 1) // 3 - 1
            server.command("CLUSTER", "ADDSLOTSRANGE", *slots)
            server.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in others:
            bus = next(line.split()[1] for line in server._settings if line.startswith("cluster-port"))
            first.command("CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        for server in self.servers:
            server.wait_until(partial(self._knows_all, server), "join the cluster")
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self._running.close()

    def _knows_all(self, server: RedisServer) -> bool:
        info = server.command("CLUSTER", "INFO").decode()
        return "cluster_state:ok" in info and f"cluster_known_nodes:{len(self.servers)}" in info


class RedisSentinels:
    """A master and a replica, and a sentinel that makes the one the other where the first is gone for a second.

    Attributes:
        servers: both servers; which one is the master may change.
    """

    NAME = "rooms"
    """What the sentinel calls them."""

    def __init__(self, folder: Path, *settings: str) -> None:
        first = RedisServer(folder / "0", *settings)
        second = RedisServer(
            folder / "1", f"replicaof 127.0.0.1 {first.port}", "repl-diskless-sync-delay 0", *settings
        )
        self.servers = [first, second]
        self.sentinel = _Sentinel(folder / "sentinel", self.NAME, first.port)
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """Where the sentinel is, as a broker's URL."""
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{self.NAME}"

    @property
    def master(self) -> RedisServer:
        """The server that the sentinel calls the master now."""
        _, port = self.sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)
        return next(server for server in self.servers if server.port == int(port))

    @property
    def replica(self) -> RedisServer:
        """The other one."""
        master = self.master
        return next(server for server in self.servers if server is not master)

    def start(self) -> Self:
        """Start all three, and wait until the replica follows and the sentinel knows it."""
        for server in (*self.servers, self.sentinel):
            self._running.enter_context(server)
        replica = self.servers[1]
        replica.wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "follow the master")
        self.sentinel.wait_until(
            lambda: self.sentinel.command("SENTINEL", "REPLICAS", self.NAME), "know the replica"
        )
        return self

    def wait_for_failover(self) -> None:
        """Wait until a server that runs is the master, and says so itself."""
        self.sentinel.wait_until(
            lambda: self.master.running and self.master.info("replication")["role"] == "master", "fail over"
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self._running.close()


class _Sentinel(RedisServer):
    """A sentinel that watches one master."""

    def __init__(self, folder: Path, name: str, port: int) -> None:
        super().__init__(
            folder,
            f"sentinel monitor {name} 127.0.0.1 {port} 1",
            f"sentinel down-after-milliseconds {name} 1000",
            f"sentinel failover-timeout {name} 3000",
        )

    def _config(self) -> Iterator[str]:
        yield from (f"dir {self.folder}", f"port {self.port}", "bind 127.0.0.1", *self._settings)

    def _arguments(self) -> list[str]:
        return ["--sentinel"]


def free_port() -> int:
    """Give a port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
