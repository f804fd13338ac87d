"""deploy/haproxy.cfg, in a real HAProxy."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.deploy.conftest import DEPLOY, free_port, program, replaced, until_listening
from tests.deploy.proxied import QUIET, Proxy, ProxyContract
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class HAProxy:
    """One that runs, as Debian's unit runs it: a master, and a worker for each configuration."""

    def __init__(self, port: int, running: Program) -> None:
        self.port = port
        self._running = running

    def reload(self) -> None:
        os.kill(self._running.pid, signal.SIGUSR2)


@asynccontextmanager
async def haproxy(
    ports: list[int], folder: Path, certificate: Path, *, lingers: str = "1h"
) -> AsyncIterator[HAProxy]:
    command, port = program("haproxy"), free_port()
    servers = "    server one 127.0.0.1:8001\n    server two 127.0.0.1:8002\n"
    text = replaced(
        (DEPLOY / "haproxy.cfg").read_text(),
        ("bind :443 ssl", f"bind 127.0.0.1:{port} ssl"),
        ("/etc/haproxy/example.org.pem", str(certificate / "example.org.pem")),
        (servers, "".join(f"    server s{each} 127.0.0.1:{each}\n" for each in ports)),
        ("timeout client 75s", f"timeout client {QUIET:g}s"),
        ("timeout server 75s", f"timeout server {QUIET:g}s"),
        ("timeout tunnel 75s", f"timeout tunnel {QUIET:g}s"),
        ("hard-stop-after 1h", f"hard-stop-after {lingers}"),
        ("maxconn 32768", "maxconn 256"),
        # The test's own app has no such page; that of the chat is tested with the chat.
        ("GET /readyz", "GET /healthz"),
    )
    (folder / "haproxy.cfg").write_text(text)
    with Program(command, "-W", "-f", folder / "haproxy.cfg") as running:
        await until_listening(port)
        yield HAProxy(port, running)
        running.send_signal(signal.SIGTERM)
        running.wait()


class TestHAProxy(ProxyContract):
    @pytest.fixture
    def proxy(self) -> Proxy:
        return haproxy
