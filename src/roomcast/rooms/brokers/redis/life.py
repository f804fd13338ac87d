"""Life: whether the data of a server can still be trusted to have all that was there before.

Redis answers before its replicas and its disk have what it was told. So a replica that is made the master may
lack the last publications that members saw, and so may a server that comes back from its disk. Their offsets would
be given again, to others. Therefore the data of each server has a life, a number that all nodes read when they
connect, and that grows

- where the server was a replica before, as its replication ids tell;
- where it was started again and keeps no append-only file;
- where a node misses the last publication that it knows of. What is lost of a log is lost from its end: if that
  one is there, so is all that came before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.redis.connections import ask
from roomcast.rooms.brokers.redis.scripts import LIFE, MISSED

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from roomcast.rooms.brokers.redis.names import Names
    from roomcast.rooms.brokers.redis.scripts import Script, Scripts
    from roomcast.rooms.brokers.redis.url import Location
    from roomcast.rooms.publication import Position

COMMANDS = "EVALSHA", "XADD", "XRANGE", "XTRIM"
"""What a Redis that is too old, or that was told so, has not all of."""


Witness: TypeAlias = "tuple[str, Position, bytes]"
"""A publication that a node knows of: its room, its position, and the token that tells it from any other."""


class Life:
    """Asks a server, on each new connection, for the life of its data.

    Args:
        location: what errors name.
        names: how rooms are called.
        scripts: what the server is to know.
        key: where the life is kept.
        sharded: whether the server is one of a cluster.
    """

    def __init__(self, location: Location, names: Names, scripts: Scripts, key: str, *, sharded: bool) -> None:
        self._location = location
        self._names = names
        self._scripts = scripts
        self.key = key
        self._sharded = sharded
        self.run = ""
        """The run of the server that was connected to last."""
        self._client = 0
        self.published: Witness | None = None
        """The last publication that this node has made there."""
        self.delivered: Witness | None = None
        """The last one that it was given."""

    async def greet(self, connection: AbstractConnection) -> str:
        """Prepare a connection for commands, and give the life of the data behind it.

        Raises:
            LOST: it is over, or cannot be used.
            BrokerUnavailable: the server is none that rooms can have.
        """
        run, replication, before, append = await self._ask_who(connection)
        await self._check_commands(connection)
        for script in self._scripts.all():
            await ask(connection, "SCRIPT", "LOAD", script.text)
        await self._end_former(connection, run)
        missing = (not run or run != self.run) and await self._misses_something(connection)
        self.run = run
        life: bytes = await _run(connection, LIFE, (self.key,), run, replication, before, append, int(missing))
        return life.decode()

    async def _ask_who(self, connection: AbstractConnection) -> tuple[str, str, str, int]:
        """Ask for the server's run, its replication's id and the one before, and whether it appends to a file."""
        told: dict[str, str] = {}
        for section in ("server", "replication", "persistence"):
            try:
                text: bytes = await ask(connection, "INFO", section)
            except NoPermissionError:
                return "", "", "", 1  # what is lost is then noticed only by those who miss something
            told |= dict(line.split(":", 1) for line in text.decode(errors="replace").splitlines() if ":" in line)
        if told.get("role") == "slave":
            raise ResponseError("READONLY it is a replica")
        return (
            told.get("run_id", ""),
            told.get("master_replid", ""),
            told.get("master_replid2", ""),
            int(told.get("aof_enabled", "0") == "1"),
        )

    async def _check_commands(self, connection: AbstractConnection) -> None:
        commands = (*COMMANDS, "SPUBLISH") if self._sharded else COMMANDS
        try:
            known = await ask(connection, "COMMAND", "INFO", *commands)
        except NoPermissionError:
            return
        missing = [command for command, info in zip(commands, known, strict=False) if not info]
        if missing:
            needed = "7.0" if missing == ["SPUBLISH"] else "6.2"
            raise BrokerUnavailable(
                f"{self._location} has no {', '.join(missing)}: rooms need Redis {needed} or newer"
            )

    async def _end_former(self, connection: AbstractConnection, run: str) -> None:
        """End the connection before this one, so that nothing of it is done after it was sent again."""
        try:
            client: int = await ask(connection, "CLIENT", "ID")
            if self._client and run and run == self.run:
                await ask(connection, "CLIENT", "KILL", "ID", self._client)
        except ResponseError:  # it has ended, or this is not allowed
            client = 0
        self._client = client

    async def _misses_something(self, connection: AbstractConnection) -> bool:
        for witness in (self.published, self.delivered):
            if witness is None:
                continue
            room, position, token = witness
            channel = self._names.room(room)
            keys = f"{channel}:o", f"{channel}:s"
            if await _run(connection, MISSED, keys, position.offset, position.epoch, token):
                return True
        return False


async def _run(
    connection: AbstractConnection, script: Script, keys: tuple[str, ...], *arguments: str | bytes | int
) -> bytes:
    try:
        answer: bytes = await ask(connection, "EVALSHA", script.sha, len(keys), *keys, *arguments)
    except NoScriptError:  # they were flushed this moment
        answer = await ask(connection, "EVAL", script.text, len(keys), *keys, *arguments)
    return answer
