"""Servers that share a Redis: several of them, and several workers of one."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.brokers.redis_server import RedisServer, free_port, needs_redis
from tests.programs import ROOMCAST, Program, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_redis

DEADLINE = 20.0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as redis:
        yield redis


def address(program: Program) -> str:
    return program.wait_for_line(r" on http://(\S+) \(")[1]


async def joined(where: str) -> ClientConnection:
    return await connect(f"ws://{where}/ws/chat?room=general", compression=None)


async def heard(client: ClientConnection, text: str) -> None:
    """Wait until a client hears a text."""
    async with asyncio.timeout(DEADLINE):
        while True:
            message: dict[str, Any] = json.loads(await client.recv())
            if message.get("text") == text:
                return


async def test_two_servers_and_the_workers_of_one_are_one_chat(redis: RedisServer) -> None:
    arguments = ["serve", "--port", "0", "--broker", redis.url]
    with Program.roomcast(*arguments) as one, Program.roomcast(*arguments, "--workers", "2") as many:
        note = f"history in Redis at 127.0.0.1:{redis.port}"
        await asyncio.to_thread(one.wait_for_line, note)
        places = [await asyncio.to_thread(address, program) for program in (one, many)]
        clients = [await joined(place) for place in (*places, places[1], places[1])]
        for number, client in enumerate(clients):
            await client.send(f"hello {number}")
            for other in clients:
                await heard(other, f"hello {number}")
        told = await asyncio.to_thread(run, ROOMCAST, "publish", "general", "from a script", "--broker", redis.url)
        assert told.returncode == 0, told.output
        assert told.stdout.startswith("5.")
        for client in clients:
            await heard(client, "from a script")
            await client.close()
        assert await asyncio.to_thread(one.terminate) == 0
        assert await asyncio.to_thread(many.terminate) == 0


@pytest.mark.parametrize("app", [[], ["tests.apps.main:app"]], ids=["chat", "app"])
def test_a_redis_that_cannot_be_reached_is_one_line_and_3(app: list[str]) -> None:
    port = free_port()
    program = run(ROOMCAST, "serve", *app, "--port", "0", "--broker", f"redis://:secret@127.0.0.1:{port}")
    assert program.returncode == 3
    assert program.stdout == ""
    assert program.stderr.startswith(f"Error: Redis at 127.0.0.1:{port} cannot be reached: ")
    assert program.stderr.count("\n") == 1
    assert "secret" not in program.output


def test_a_redis_that_is_waited_for_may_come(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    arguments = ["--port", "0", "--broker", redis.url, "--wait-for-broker", "30"]
    with Program.roomcast("serve", *arguments) as program:
        program.wait_for_line(f":{redis.port} cannot be reached: Connection refused; it is tried again for")
        with redis:
            address(program)
            assert program.terminate() == 0


def test_a_redis_that_does_not_come_in_time_is_an_error() -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    program = run(ROOMCAST, "serve", "--port", "0", env={"ROOMCAST_BROKER": url, "ROOMCAST_WAIT_FOR_BROKER": "1"})
    assert program.returncode == 3
    warning, error = program.stderr.splitlines()
    assert warning.startswith("Warning: Redis at ")
    assert error.startswith("Error: Redis at ")


def test_publishing_where_there_is_no_redis_ends_with_3() -> None:
    program = run(ROOMCAST, "publish", "general", "hi", "--broker", f"redis://127.0.0.1:{free_port()}")
    assert program.returncode == 3
    assert program.stderr.startswith("Error: Redis at ")
