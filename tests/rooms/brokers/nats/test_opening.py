"""What an opened broker needs of its server, and what it says where that is not so."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import trustme

from roomcast import BrokerUnavailable, ConfigurationError, Retention
from roomcast.rooms.brokers.nats import NatsBroker
from roomcast.rooms.brokers.nats.stream import Stream
from roomcast.rooms.retention import Retentions
from tests.brokers.nats_server import NatsServer, Tls, free_port, needs_nats

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rooms.brokers.nats.conftest import Open


async def refused(url: str) -> str:
    broker = NatsBroker.from_url(url)
    try:
        with pytest.raises((BrokerUnavailable, ConfigurationError)) as caught:
            await broker.open(lambda *_: None)
    finally:
        await broker.close()
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_server_that_is_not_there_is_told_of() -> None:
    port = free_port()
    error = await refused(f"nats://127.0.0.1:{port}")
    assert error.startswith(f"NATS at 127.0.0.1:{port} cannot be reached: ")


async def test_a_server_that_does_not_answer_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()
        assert await refused(f"nats://127.0.0.1:{port}?timeout=0.5") == f"NATS at 127.0.0.1:{port} does not answer"
        assert time.monotonic() - started < 5


@needs_nats
@pytest.mark.parametrize(
    ("login", "named"),
    [("", "anybody without a user and password"), ("user:wrong", "user 'user'"), ("wrong", "that token")],
)
async def test_wrong_credentials_are_told_of(tmp_path: Path, login: str, named: str) -> None:
    with NatsServer(tmp_path, user="user", password="s3cret") as server:
        error = await refused(server.url_of(login))
        assert error.startswith(f"NATS at 127.0.0.1:{server.port} does not let {named}")
        assert "wrong'" not in error
        await works(server.url)


@needs_nats
async def test_a_token_lets_in(tmp_path: Path) -> None:
    with NatsServer(tmp_path, token="s3cret") as server:
        await works(server.url)


@needs_nats
async def test_a_server_without_jetstream_is_told_of(tmp_path: Path) -> None:
    with NatsServer(tmp_path, jetstream=False) as server:
        error = await refused(server.url)
    assert error.startswith(f"NATS at 127.0.0.1:{server.port} has no JetStream, which keeps the rooms: start")


@needs_nats
async def test_tls_is_spoken_and_who_is_not_believed_is_told_of(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    authority.cert_pem.write_to_path(tmp_path / "ca")
    with NatsServer(tmp_path, tls=Tls(tmp_path / "cert", tmp_path / "key", tmp_path / "ca")) as server:
        await works(server.url)
        assert "is not believed" in await refused(f"nats+tls://localhost:{server.port}")


RIGHTS = """authorization {{ users: [{{ user: u, password: p, permissions: {{
  publish: [{}], subscribe: ["rooms.>", "_INBOX.>"] }} }}] }}"""


@needs_nats
async def test_a_user_needs_few_rights_and_one_that_is_missing_is_told_of(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "few", RIGHTS.format('"rooms.>", "_INBOX.>", "$JS.API.>"')) as server:
        await works(f"{server.url_of('u:p')}?prefix=rooms")
    with NatsServer(tmp_path / "none", RIGHTS.format('"rooms.>", "_INBOX.>"')) as server:
        error = await refused(f"{server.url_of('u:p')}?prefix=rooms&timeout=0.5")
    assert f"NATS at 127.0.0.1:{server.port} forbids it: permissions violation for publish to" in error


@needs_nats
async def test_one_of_several_servers_is_enough(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        await works(f"nats://127.0.0.1:{free_port()},127.0.0.1:{server.port}")


async def works(url: str) -> None:
    broker = NatsBroker.from_url(url)
    await broker.open(lambda *_: None)
    assert (await broker.publish("r", b"a")).offset == 1
    assert broker.reachable
    await broker.close()
    assert not broker.reachable


@needs_nats
async def test_a_stream_of_something_else_is_left_as_it_is(opened: Open) -> None:
    node = await opened()
    stream = node.broker._log.stream
    await stream.api("STREAM.DELETE")
    await stream.api("STREAM.CREATE", {"name": stream.name, "subjects": ["orders.*"]})
    error = await refused(node.url)
    assert f"has a stream '{stream.name}' that is none of Roomcast's: its " in error
    assert "choose another prefix (?prefix=NAME), or remove it" in error
    assert (await stream.api("STREAM.INFO"))["config"]["subjects"] == ["orders.*"]


@needs_nats
async def test_a_stream_with_our_subjects_is_told_of(opened: Open) -> None:
    node = await opened()
    stream = node.broker._log.stream
    await stream.api("STREAM.DELETE")
    other = Stream(node.broker._linked(), stream.name.replace("-log", "-other"))
    await other.api("STREAM.CREATE", {"name": other.name, "subjects": [node.broker._subjects.logs]})
    assert "cannot have the streams of" in await refused(node.url)


@needs_nats
async def test_what_is_stored_is_stored_for_as_long_as_any_node_needs_it(opened: Open) -> None:
    async def days() -> float:
        info = await node.broker._log.stream.api("STREAM.INFO")
        return float(info["config"]["max_age"]) / 86400e9

    node = await opened(retentions=Retentions(Retention(1, 1, 86400.0 * 30)))
    assert await days() == 30
    await opened()
    assert await days() == 30
    await opened(retentions=Retentions({"a": Retention(1, 1, float("inf")), "*": Retention(1, 1, 1)}))
    assert await days() == 0


def test_nats_py_is_imported_where_it_is_needed_only() -> None:
    script = "import sys, roomcast.cli; assert 'nats' not in sys.modules, 'nats-py was imported'"
    subprocess.run([sys.executable, "-c", script], check=True)
