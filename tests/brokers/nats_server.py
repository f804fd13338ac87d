"""Real NATS servers that tests start, break and end.

```python
with NatsServer(tmp_path / "nats") as nats:            # started, on a free port, with JetStream in files
    Rooms(nats.url)
    nats.kill()                                        # kill -9; `stop()` asks it to end (SIGTERM)
    nats.start()                                       # again: same port, same data
    with nats.frozen():                                # SIGSTOP, and SIGCONT at the end of the block
        ...
    nats.stop()
    nats.forget()                                      # its data is gone: what it had, it has no more
    nats.start()

NatsServer(folder, jetstream=False)                    # without JetStream
NatsServer(folder, user="u", password="p")             # `url` has them; `url_of("other:pw")` has others
NatsServer(folder, token="t")
NatsServer(folder, "max_payload: 8KB")                 # any lines of nats-server.conf
```

- `url` (nats://127.0.0.1:PORT), `url_of(login)`, `port`, `pid`, `running`, `log`; `start`, `stop`, `kill`,
  `freeze`, `thaw`, `frozen`, `forget`, `configure`.
- Leaving the `with` block kills whatever still runs. `start` returns once it greets who connects, which it does
  when JetStream has read its files. Everything blocks, for tenths of a second: call it from a test with an event
  loop where that may stand still so long, or through `asyncio.to_thread`.

`NATS_SERVER` is the program, None where there is none; `needs_nats` skips a test there, unless CI=true.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 20.0
"""Seconds that a server may take to do what it is asked for, on a loaded machine."""
PAUSE = 0.02
"""Seconds between two looks at a server."""

NATS_SERVER = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
"""The program, None where there is none."""

needs_nats = pytest.mark.skipif(
    NATS_SERVER is None and os.environ.get("CI") != "true", reason="there is no nats-server here"
)
"""Skips a test where there is no nats-server; CI has one."""


class NatsFailed(AssertionError):
    """A server did not do what it was asked for; the message has the end of its log."""


class Tls(NamedTuple):
    """What a server needs to speak TLS, and its clients to believe it: files in PEM format."""

    certificate: Path
    key: Path
    authority: Path


class NatsServer:
    """One nats-server on the loopback interface, in a folder of its own.

    Args:
        folder: where its data and log are; made where it is not there.
        settings: lines of nats-server.conf.
        jetstream: whether it has JetStream.
        user: the one user that may come in; with `password`.
        password: the password of that user.
        token: what whoever comes in has to know instead.
        tls: what it speaks TLS with.
    """

    def __init__(
        self,
        folder: Path,
        *settings: str,
        jetstream: bool = True,
        user: str = "",
        password: str = "",
        token: str = "",
        tls: Tls | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self._settings = list(settings)
        self._jetstream = jetstream
        self._login = f"{user}:{password}" if user else token
        self._user, self._password, self._token = user, password, token
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, as a broker's URL, with what it takes to come in."""
        return self.url_of(self._login)

    def url_of(self, login: str) -> str:
        """Give its URL with `USER:PASSWORD`, a token, or "" for nothing."""
        at = f"{login}@" if login else ""
        if self._tls is not None:
            return f"nats+tls://{at}localhost:{self.port}?tls_ca={self._tls.authority}"
        return f"nats://{at}127.0.0.1:{self.port}"

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
        log = self.folder / "nats.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def configure(self, *settings: str) -> None:
        """Replace the lines of nats-server.conf, from the next start on."""
        self._settings = list(settings)

    def start(self) -> Self:
        """Start it, on the port and with the data that it had; wait until it greets who connects."""
        assert NATS_SERVER is not None, "there is no nats-server"
        assert not self.running
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats-server.conf"
        config.write_text("".join(f"{line}\n" for line in self._config()))
        with (self.folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [NATS_SERVER, "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        self.wait_until(lambda: self.greeting() is not None, "greet who connects")
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
        self.wait_until(self._has_stopped, "stop")  # its threads do, one after the other

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

    def forget(self) -> None:
        """Remove its data, while it does not run."""
        assert not self.running
        shutil.rmtree(self.folder / "jetstream", ignore_errors=True)

    def greeting(self) -> dict[str, Any] | None:
        """Give what it says to who connects (its INFO), None where it says nothing."""
        try:
            with closing(socket.create_connection(("127.0.0.1", self.port), timeout=1)) as connection:
                line = connection.makefile("rb").readline()
        except OSError:
            return None
        if not line.startswith(b"INFO "):
            return None
        told: dict[str, Any] = json.loads(line[5:])
        return told

    def wait_until(self, condition: Any, what: str) -> None:
        """Wait until a condition holds.

        Raises:
            NatsFailed: it did not in time, or the server has ended.
        """
        deadline = time.monotonic() + DEADLINE
        while not condition():
            if not self.running or time.monotonic() > deadline:
                raise NatsFailed(f"the server did not {what}; its log ends with\n{self.log[-2000:]}")
            time.sleep(PAUSE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        if self.running:
            self.kill()

    def _config(self) -> Iterator[str]:
        yield f"listen: 127.0.0.1:{self.port}"
        if self._jetstream:
            yield f"jetstream {{ store_dir: {json.dumps(str(self.folder))} }}"
        if self._user:
            yield (f"authorization {{ user: {json.dumps(self._user)}, password: {json.dumps(self._password)} }}")
        elif self._token:
            yield f"authorization {{ token: {json.dumps(self._token)} }}"
        if self._tls is not None:
            yield (
                f"tls {{ cert_file: {json.dumps(str(self._tls.certificate))}, "
                f"key_file: {json.dumps(str(self._tls.key))} }}"
            )
        yield from self._settings

    def _has_stopped(self) -> bool:
        threads = Path(f"/proc/{self.pid}/task")
        if not threads.is_dir():
            return True  # not on Linux: nothing says so
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads.glob("*/stat"))

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGTERM:
            self._process.send_signal(signal.SIGCONT)  # a frozen one would not hear of it
        self._process.wait(DEADLINE)


def free_port() -> int:
    """Give a port that nobody has right now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
