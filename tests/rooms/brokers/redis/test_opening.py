from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from roomcast import BrokerUnavailable, ConfigurationError
from roomcast.rooms.brokers import broker_from_url, serves_many_processes
from roomcast.rooms.brokers.redis import broker as module
from tests.brokers.redis_server import RedisServer, Tls, free_port, needs_redis

if TYPE_CHECKING:
    from tests.rooms.brokers.redis.conftest import Open

pytestmark = needs_redis


async def refused(url: str) -> str:
    """The error with which a broker does not open; it has no password in it."""
    broker = broker_from_url(url)
    with pytest.raises(BrokerUnavailable) as caught:
        await broker.open(lambda *_: None)
    assert not broker.reachable
    assert "hunter2" not in str(caught.value)
    await broker.close()
    return str(caught.value)


async def test_nobody_listens_there() -> None:
    port = free_port()
    told = await refused(f"redis://:hunter2@127.0.0.1:{port}")
    assert told == f"Redis at 127.0.0.1:{port} cannot be reached: Connection refused"


async def test_a_host_that_there_is_not() -> None:
    assert (await refused("redis://nosuch.invalid")).startswith("Redis at nosuch.invalid:6379 cannot be reached: ")


async def test_a_server_that_is_frozen_does_not_answer(redis: RedisServer) -> None:
    with redis.frozen():
        assert (await refused(f"{redis.url}?timeout=0.3")).endswith("does not answer")


@pytest.mark.parametrize("login", ["", ":hunter2@", "nobody:hunter2@"])
async def test_who_is_not_let_in_is_told_so(tmp_path: Path, login: str) -> None:
    with RedisServer(tmp_path / "redis", "requirepass secret") as redis:
        assert "does not accept the user and the password" in await refused(
            f"redis://{login}127.0.0.1:{redis.port}"
        )
        broker = broker_from_url(f"redis://:secret@127.0.0.1:{redis.port}/3")
        await broker.open(lambda *_: None)
        await broker.close()


async def test_what_a_user_may_not_do_is_named(redis: RedisServer) -> None:
    redis.command("ACL", "SETUSER", "few", "on", ">hunter2", "~*", "&*", "+@all", "-xadd", "-evalsha")
    assert "does not allow what rooms need: " in await refused(f"redis://few:hunter2@127.0.0.1:{redis.port}")
    redis.command("ACL", "SETUSER", "mute", "on", ">hunter2", "~*", "resetchannels", "+@all")
    assert "does not allow what rooms need: " in await refused(f"redis://mute:hunter2@127.0.0.1:{redis.port}")


async def test_a_user_that_may_do_nothing_dangerous_has_rooms(redis: RedisServer, opened: Open) -> None:
    redis.command("ACL", "SETUSER", "careful", "on", ">secret", "~*", "&*", "+@all", "-@dangerous", "-@admin")
    node = await opened(f"redis://careful:secret@127.0.0.1:{redis.port}")
    await node.broker.subscribe("r")
    position = await node.broker.publish("r", b"a")
    assert await node.delivered() == ("r", position, b"a")


async def test_a_redis_without_streams(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", 'rename-command XADD ""', append=False) as redis:
        told = await refused(redis.url)
    assert told.endswith(" has no XADD: rooms need Redis 6.2 or newer")


async def test_a_full_memory(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", "maxmemory 1", append=False) as redis:
        assert "has no memory left: raise its maxmemory" in await refused(redis.url)


async def test_a_replica_takes_nothing(tmp_path: Path, redis: RedisServer) -> None:
    with RedisServer(tmp_path / "replica", f"replicaof 127.0.0.1 {redis.port}") as replica:
        assert "is a replica, which takes nothing: name the master" in await refused(replica.url)


async def test_one_server_is_no_cluster(redis: RedisServer) -> None:
    assert "it is no cluster: name it with redis://" in await refused(f"redis+cluster://127.0.0.1:{redis.port}")


async def test_sentinels_that_do_not_know_the_master(redis: RedisServer) -> None:
    told = await refused(f"redis+sentinel://127.0.0.1:{redis.port}/rooms")
    assert told.startswith("the Redis master 'rooms' of the sentinels at ")


async def test_a_unix_socket(tmp_path: Path, opened: Open) -> None:
    folder = Path(os.path.relpath(tmp_path)) if len(str(tmp_path)) > 80 else tmp_path
    with RedisServer(folder / "redis", unix=True) as redis:
        node = await opened(redis.url)
        assert (await node.broker.publish("r", b"a")).offset == 1


async def test_tls_is_checked(tmp_path: Path, opened: Open) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    tls = Tls(tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem")
    with RedisServer(tmp_path / "redis", tls=tls) as redis:
        node = await opened(redis.url)
        await node.broker.subscribe("r")
        position = await node.broker.publish("r", b"a" * 100_000)
        assert await node.delivered() == ("r", position, b"a" * 100_000)
        assert "certificate verify failed" in await refused(re.sub(r"\?.*", "", redis.url))
        unchecked = await opened(re.sub(r"\?.*", "?tls_verify=no", redis.url))
        assert (await unchecked.broker.publish("r", b"a")).offset == 2


def test_without_redis_py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=re.escape("pip install 'roomcast[redis]'")):
        broker_from_url("redis://localhost")


def test_every_form_serves_many_processes() -> None:
    for url in ("redis://h", "rediss://h", "unix:///s", "redis+cluster://h", "redis+sentinel://h/m"):
        assert serves_many_processes(url)
