"""Servers that share a NATS: several of them, and several workers of one."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect

from tests.brokers.nats_server import NatsServer, free_port, needs_nats
from tests.programs import DEADLINE, ROOMCAST, Program, run

if TYPE_CHECKING:
    from pathlib import Path


def address(program: Program) -> str:
    return program.wait_for_line(r" on http://(\S+) \(")[1]


async def heard(client: ClientConnection, text: str) -> None:
    """Wait until a client hears a text."""
    async with asyncio.timeout(DEADLINE):
        while True:
            message: dict[str, Any] = json.loads(await client.recv())
            if message.get("text") == text:
                return


@needs_nats
async def test_two_servers_and_the_workers_of_one_are_one_chat(tmp_path: Path) -> None:
    with NatsServer(tmp_path, user="me", password="s3cret") as nats:
        arguments = ["serve", "--port", "0", "--broker", nats.url]
        with Program.roomcast(*arguments) as one, Program.roomcast(*arguments, "--workers", "2") as many:
            await asyncio.to_thread(one.wait_for_line, f"history in NATS at 127.0.0.1:{nats.port}")
            places = [await asyncio.to_thread(address, program) for program in (one, many)]
            clients = [
                await connect(f"ws://{place}/ws/chat?room=general", compression=None)
                for place in (*places, places[1], places[1])
            ]
            for number, client in enumerate(clients):
                await client.send(f"hello {number}")
                for other in clients:
                    await heard(other, f"hello {number}")
            told = await asyncio.to_thread(run, ROOMCAST, "publish", "general", "hi", "--broker", nats.url)
            assert (told.returncode, told.stdout[:2]) == (0, "5."), told.output
            for client in clients:
                await heard(client, "hi")
                await client.close()
            assert await asyncio.to_thread(one.terminate) == 0
            assert await asyncio.to_thread(many.terminate) == 0
            assert "s3cret" not in one.output + many.output


def test_a_nats_that_cannot_be_reached_is_one_line() -> None:
    port = free_port()
    for arguments, code in ((["serve", "--port", "0"], 3), (["publish", "general", "hi"], 3)):
        program = run(ROOMCAST, *arguments, "--broker", f"nats://me:secret@127.0.0.1:{port}")
        assert program.returncode == code
        assert program.output == f"Error: NATS at 127.0.0.1:{port} cannot be reached: Connection refused\n"
