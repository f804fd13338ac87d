"""Connections to Redis servers, as the URL says: how one is opened, and which errors mean what."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as Unconnected

from roomcast.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomcast.rooms.brokers.redis.url import Address, Location

    Argument: TypeAlias = str | bytes | int
    Connect: TypeAlias = Callable[[], Awaitable[AbstractConnection]]

LOST = (RedisError, OSError, TimeoutError, EOFError)
"""What is raised where a connection cannot be had, or is over."""
_CONNECTING = re.compile(r"Error (-?\d+) connecting to \S+ (.*)", re.DOTALL)
"""How redis-py tells of a connection that could not be opened: the system's number, where, and why."""
NAME = "roomcast"
"""What our connections are called in Redis' CLIENT LIST."""


class Connections:
    """Opens connections to the servers that a URL names.

    Args:
        location: what the URL says.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._settings: dict[str, Any] = {
            "db": location.database,
            "username": location.username or None,
            "password": location.password or None,
            "protocol": 2,
            "client_name": NAME,
            # With a deadline of redis-py's, each write is a task, in which a cancellation can get lost: ours hold.
            "socket_timeout": None,
            "socket_connect_timeout": location.settings.timeout,
        }
        self._class: type[Connection] = Connection
        tls = location.tls
        self._tls: dict[str, Any] = {}
        if tls is not None:
            self._class = SSLConnection
            self._tls = {
                "ssl_ca_certs": tls.authority,
                "ssl_certfile": tls.certificate,
                "ssl_keyfile": tls.key,
                "ssl_cert_reqs": "required" if tls.verify else "none",
                "ssl_check_hostname": tls.verify,
            }

    async def connect(self) -> AbstractConnection:
        """Connect to the server, or to the master that the sentinels name.

        Raises:
            LOST: it cannot be reached, or does not let us in.
        """
        location = self._location
        if location.path is not None:
            return await self._opened(UnixDomainSocketConnection(path=location.path, **self._settings))
        address = location.addresses[0] if location.kind == "server" else await self._master()
        return await self.connect_to(address)

    async def connect_to(self, address: Address) -> AbstractConnection:
        """Connect to the server at an address.

        Raises:
            LOST: it cannot be reached, or does not let us in.
        """
        host, port = address
        return await self._opened(self._class(host=host, port=port, **self._settings, **self._tls))

    async def _opened(self, connection: AbstractConnection) -> AbstractConnection:
        try:
            # A server that is stopped accepts connections, and says nothing.
            async with asyncio.timeout(self._location.settings.timeout):
                await connection.connect()
        except BaseException:
            await let_go(connection)
            raise
        return connection

    async def _master(self) -> Address:
        timeout = self._location.settings.timeout
        settings: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        if self._tls:
            settings |= {"ssl": True, **self._tls}
        sentinel = Sentinel(list(self._location.addresses), sentinel_kwargs=settings)
        try:
            host, port = await sentinel.discover_master(self._location.name)
        except MasterNotFoundError:
            raise Unconnected("none of them knows a master of that name that runs") from None
        finally:
            for client in sentinel.sentinels:
                await client.aclose()
        return host, port


def pack(command: tuple[Argument, ...]) -> bytes:
    """Write a command as Redis reads it."""
    packed: bytes = pack_command(command)  # type: ignore[arg-type]
    return packed


async def ask(connection: AbstractConnection, *command: Argument) -> Any:  # noqa: ANN401 - what Redis answers
    """Give a command and wait for its answer, on a connection that nothing else is asked on.

    Raises:
        LOST: there is no answer, or a refusal.
    """
    await connection.send_command(*command, check_health=False)
    return await connection.read_response(disable_decoding=True)


async def let_go(connection: AbstractConnection) -> None:
    """Close a connection at once, whatever its state."""
    with contextlib.suppress(*LOST):
        await connection.disconnect(nowait=True)


def refusal(location: Location, error: BaseException) -> BrokerUnavailable:
    """Say what an error of Redis means, and what would be right."""
    return BrokerUnavailable(f"{location} {_meaning(error)}")


def _meaning(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, NoPermissionError) or text.startswith("NOPERM"):
        return f"does not allow what rooms need: {text}"
    if isinstance(error, AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        return f"does not accept the user and the password of the URL: {text}"
    if text.startswith("OOM") or "used memory > 'maxmemory'" in text:
        return "has no memory left: raise its maxmemory, or let rooms keep less"
    if text.startswith("MISCONF"):
        return f"takes nothing now: {text}"
    if "read only replica" in text or text.startswith("READONLY"):
        return "is a replica, which takes nothing: name the master, or redis+sentinel:// which knows it"
    if isinstance(error, TimeoutError) or "Timeout" in text:
        return "does not answer"
    if isinstance(error, ResponseError):
        return f"refuses: {text}"
    if (failed := _CONNECTING.match(text)) is not None:
        number, told = int(failed[1]), failed[2]
        text = os.strerror(number) if told.startswith("Connect call failed") else told
    return f"cannot be reached: {text.removesuffix('.')}"
