"""deploy/nginx.conf, in a real nginx."""

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


class Nginx:
    """One that runs."""

    def __init__(self, port: int, running: Program) -> None:
        self.port = port
        self._running = running

    def reload(self) -> None:
        os.kill(self._running.pid, signal.SIGHUP)


@asynccontextmanager
async def nginx(ports: list[int], folder: Path, certificate: Path, *, lingers: str = "1h") -> AsyncIterator[Nginx]:
    command, port = program("nginx"), free_port()
    servers = "        server 127.0.0.1:8001;\n        server 127.0.0.1:8002;\n"
    paths = "".join(
        f"    {name}_temp_path temp;\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = replaced(
        (DEPLOY / "nginx.conf").read_text(),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("example.org;", "localhost;"),
        (servers, "".join(f"        server 127.0.0.1:{each};\n" for each in ports)),
        ("/etc/ssl/example.org.pem", str(certificate / "example.org.chain")),
        ("/etc/ssl/example.org.key", str(certificate / "example.org.key")),
        ("proxy_read_timeout 75s;", f"proxy_read_timeout {QUIET:g}s;"),
        ("proxy_send_timeout 75s;", f"proxy_send_timeout {QUIET:g}s;"),
        ("worker_shutdown_timeout 1h;", f"worker_shutdown_timeout {lingers};"),
        ("worker_connections 32768;", "worker_connections 512;"),
        ("worker_rlimit_nofile 65536;", ""),
        ("http {\n", f"http {{\n    access_log off;\n{paths}"),
    )
    (folder / "nginx.conf").write_text(f"daemon off;\npid nginx.pid;\nerror_log stderr;\n{text}")
    with Program(command, "-p", folder, "-c", "nginx.conf", "-e", "stderr") as running:
        await until_listening(port)
        yield Nginx(port, running)
        running.terminate()


class TestNginx(ProxyContract):
    @pytest.fixture
    def proxy(self) -> Proxy:
        return nginx
