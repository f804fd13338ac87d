"""A member that stops reading, until its node has had enough of it."""

from __future__ import annotations

import socket
import time
from base64 import b64encode
from random import randbytes
from typing import TYPE_CHECKING

from roomcast import CloseCode, Position
from tests.cluster.clients import Control
from tests.faults.checker import Acknowledged
from tests.faults.traffic import PATIENCE, Listener, Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.asyncio.client import ClientConnection

    from tests.faults.traffic import Urls

LARGE = 65_536
"""Bytes of what is published meanwhile."""
BUFFER = 16_384
"""Bytes that the kernel may keep for who reads nothing."""
MOST = 1000
"""How many of those: more than any kernel keeps for a connection, and a node."""
SOME = 8
"""How many of those between two looks at whether it was closed."""


class Sleeper(Listener):
    """A member that can be told to read nothing.

    Attributes:
        codes: what its connections were closed with.
    """

    def __init__(self, room: str, urls: Urls, number: int) -> None:
        super().__init__(f"{room}-sleeper", room, urls, number, restless=False)
        self.codes: list[int | None] = []

    async def _read(self, ws: ClientConnection) -> None:
        self._ws = ws
        try:
            await super()._read(ws)
        finally:
            self.codes.append(ws.close_code)

    def sleep(self) -> None:
        """Read nothing from now on, and have the kernel take little of it."""
        transport = self._ws.transport
        transport.pause_reading()
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)

    def wake(self) -> None:
        """Read on."""
        self._ws.transport.resume_reading()


async def stall(urls: Urls, name: str, number: int) -> None:
    """Have a member read nothing while much is said, until it is closed: it comes back, and has missed nothing.

    Args:
        urls: where the nodes are.
        name: what its room's name begins with.
        number: on which node it is.

    Raises:
        AssertionError: it was not closed, or something was missed, repeated or out of order.
    """
    traffic = Traffic(urls, name, rooms=1, members=1, restless=0, publishers=1)
    sleeper = Sleeper(traffic.rooms[0], urls, number)
    traffic.members.append(sleeper)
    async with traffic:
        await traffic.flows()
        sleeper.sleep()
        try:
            await _publish_until_closed(urls()[0], sleeper, traffic)
        finally:
            sleeper.wake()
        await traffic.flows()
        await traffic.finish()
    # 1006, where its node had waited too long for it to read the close frame.
    assert sleeper.codes[0] in (CloseCode.TOO_SLOW, 1006), f"it was closed with {sleeper.codes[0]}"


async def _publish_until_closed(url: str, sleeper: Sleeper, traffic: Traffic) -> None:
    room, name = sleeper.account.room, sleeper.account.member
    deadline = time.monotonic() + PATIENCE
    async with Control(url) as node:
        for number, data in enumerate(_large(room)):
            if number % SOME == 0 and name not in await node.call("members", room=room):
                return
            at = await node.call("publish", room=room, data=data)
            traffic.acknowledged.append(Acknowledged(room, data, Position.parse(at)))
            assert time.monotonic() < deadline, f"{name} read nothing for {PATIENCE:g} s, and is still in"
    raise AssertionError(f"{name} read nothing of {MOST * LARGE} bytes, and is still in")


def _large(room: str) -> Iterator[str]:
    """Give what cannot be compressed, nor as a repetition: that reaches back 32 KiB."""
    noise = b64encode(randbytes(LARGE * 3 // 4)).decode()
    for number in range(MOST):
        yield f"{room}-large-{number}-{noise}"
