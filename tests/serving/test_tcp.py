"""Listening on a host and a port."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import httpx
import pytest

from roomcast.errors import ConfigurationError
from roomcast.serving.tcp import HOSTS, listening_on_port
from tests.programs import ROOMCAST, Program, run

APPS = Path(__file__).parents[1] / "apps"
TRY = HOSTS.format("--")
FIRST_FREE_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def can_bind(host: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not can_bind("::1"), reason="this machine has no IPv6")


def refused(host: str, port: int) -> str:
    with pytest.raises(ConfigurationError) as caught, listening_on_port(host, port):
        pass
    return str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", pytest.param("::1", marks=needs_ipv6)])
def test_it_listens_on_a_free_port_of_the_host(host: str) -> None:
    with Program.roomcast("serve", "main:app", "--host", host, "--port", "0", cwd=APPS) as program:
        url = program.wait_for_line(r" on (http://\S+) ")[1]
        assert httpx.get(url).is_success
        assert host in url


def test_it_listens_on_the_port_that_was_given() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
    with Program.roomcast("serve", "main:app", "--port", port, cwd=APPS) as program:
        assert program.wait_for_line(r" on (http://\S+) ")[1] == f"http://127.0.0.1:{port}"


def test_it_listens_where_connections_of_the_last_server_are_remembered() -> None:
    with listening_on_port("127.0.0.1", 0) as (first,):
        host, port = first.getsockname()
        with socket.create_connection((host, port)) as client:
            connection, _ = first.accept()
            # The side that closes first keeps the port in TIME_WAIT.
            connection.close()
            assert client.recv(1) == b""
    with listening_on_port(host, port):
        pass


def test_two_servers_never_share_a_port() -> None:
    with listening_on_port("127.0.0.1", 0) as (first,):
        port = first.getsockname()[1]
        assert refused("127.0.0.1", port) == (
            f"port {port} on 127.0.0.1 is in use: choose another --port, or 0 for a free one"
        )


@needs_ipv6
def test_a_name_of_several_addresses_is_listened_on_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, "127.0.0.1", "::1")
    with listening_on_port("somewhere", 0) as listeners:
        addresses = [listener.getsockname()[:2] for listener in listeners]
    port = addresses[0][1]
    assert addresses == [("127.0.0.1", port), ("::1", port)]


@pytest.mark.parametrize("addresses", [("192.0.2.1", "127.0.0.1"), ("127.0.0.1", "192.0.2.1")])
def test_an_address_that_the_machine_has_not_is_left_out(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, str]
) -> None:
    answer_with(monkeypatch, *addresses)
    with listening_on_port("somewhere", 0) as listeners:
        assert [listener.getsockname()[0] for listener in listeners] == ["127.0.0.1"]


def answer_with(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name have these addresses."""
    resolve = socket.getaddrinfo
    found = [entry for address in addresses for entry in resolve(address, None, type=socket.SOCK_STREAM)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)


def test_another_machines_address_is_refused() -> None:
    program = run(ROOMCAST, "serve", "main:app", "--host", "192.0.2.1", "--port", "0", cwd=APPS)
    assert program.returncode == 2
    assert program.output == f"Error: 192.0.2.1 is no address of this machine: {TRY}\n"


def test_a_name_that_cannot_be_one_is_refused() -> None:
    program = run(ROOMCAST, "serve", "main:app", "--host", "a..b", cwd=APPS)
    assert program.returncode == 2
    assert program.output == f"Error: there is no host 'a..b': {TRY}\n"


def test_a_name_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert refused("somewhere", 0) == f"there is no host 'somewhere': {TRY}"


@pytest.mark.skipif(
    not FIRST_FREE_PORT.exists() or int(FIRST_FREE_PORT.read_text()) < 1024,
    reason="every user may listen on every port here",
)
def test_a_port_that_needs_a_privilege_is_refused() -> None:
    without: list[str | Path] = []
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root has every privilege, and there is no setpriv to take one away")
        without = [setpriv, "--bounding-set", "-net_bind_service", "--inh-caps", "-net_bind_service"]
    program = run(*without, ROOMCAST, "serve", "main:app", "--port", "81", cwd=APPS)
    assert program.returncode == 2
    assert program.output == (
        "Error: port 81 needs a privilege that you lack: "
        "choose another --port, or 0 for a free one; from 1024 up all are free to use\n"
    )
