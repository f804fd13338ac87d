"""Wire: an outlet, and the peer that it leads to. By one of these an implementation takes part in the contract."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from roomcast.protocol.prepared import PreparedMessage
from tests.rooms.guests import until

if TYPE_CHECKING:
    from roomcast.rooms import Outlet

BOUND = 300_000
"""The bound of the outlets here, in bytes: more than what a transport keeps for a peer that does not read."""
FILLER = b"\x00filler"
"""How the messages begin that stop up the connection of a stalled peer. They are nobody's."""
FILLER_BYTES = 64 * 1024
MOST_FILLERS = 400
"""So much no kernel keeps for a peer: 25 MiB."""


class Wire(ABC):
    """An outlet of an open connection, with `BOUND` bytes, and the peer's end of the connection.

    What follows is what the contract says of one server and not of another.

    Attributes:
        outlet: the outlet.
        holds_back: whether the server says so when the peer does not read. One that does not takes all there is,
            and keeps it: nothing ever waits in the outlet, and no peer is ever too slow for it.
        keeps_on_close: how many bytes of what waited the outlet still counts once it has closed: what a transport
            has, it keeps.
        tells_of_loss: whether the server's `send` says that the peer has gone. Of one that does not, the outlet
            learns it from who receives.
        sends_empty_messages: whether the server does; one that does not leaves them out.
        sends_reasons: whether the server's close frames have the reason.
        frame_bytes: how many bytes more than its payload a message may count.
    """

    outlet: Outlet
    holds_back: ClassVar[bool] = True
    keeps_on_close: ClassVar[int] = 0
    tells_of_loss: ClassVar[bool] = True
    sends_empty_messages: ClassVar[bool] = True
    sends_reasons: ClassVar[bool] = True
    frame_bytes: ClassVar[int] = 0

    async def message(self) -> str | bytes:
        """Wait for the next message at the peer."""
        while True:
            found = await self.next()
            assert isinstance(found, str | bytes), f"a close frame: {found}"
            if not (isinstance(found, bytes) and found.startswith(FILLER)):
                return found

    async def messages(self, count: int) -> list[str | bytes]:
        """Wait for the next messages at the peer."""
        return [await self.message() for _ in range(count)]

    async def close_frame(self) -> tuple[int, str]:
        """Wait for the close frame at the peer; messages before it are an error."""
        while True:
            found = await self.next()
            if isinstance(found, tuple):
                return found
            assert isinstance(found, bytes), found[:100]
            assert found.startswith(FILLER), found[:100]

    async def stall(self) -> int:
        """Have the peer read nothing from now on, and fill what lies between, so that what is offered now waits.

        Returns:
            How many bytes the outlet counts as waiting then; 0 where the server does not hold back.
        """
        self.stop_reading()
        for _ in range(MOST_FILLERS):
            self.outlet.offer(PreparedMessage(FILLER + bytes(FILLER_BYTES - len(FILLER))))
            if not await self.is_taken():
                return self.outlet.queued_bytes
        return 0

    async def is_taken(self) -> bool:
        """Wait until the connection has taken all that was offered, or it is clear that it does not."""
        await self.settled()
        return self.outlet.queued_bytes == 0

    async def empty(self) -> None:
        """Wait until nothing waits any more."""
        await until(lambda: self.outlet.queued_bytes == 0)

    async def settled(self) -> None:
        """Let all happen that can happen without the peer."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def told_of_loss(self) -> None:
        """Have the outlet told that the peer has gone, by who receives, where the server's `send` says nothing."""
        raise NotImplementedError

    @abstractmethod
    async def another(self) -> Wire:
        """Give a second connection to the same server. It ends with this one."""

    @abstractmethod
    async def next(self) -> str | bytes | tuple[int, str]:
        """Wait for what comes next at the peer: a message, or the code and the reason of the close frame."""

    async def ended(self) -> None:
        """Wait until the server has ended the connection."""
        raise NotImplementedError

    @abstractmethod
    def stop_reading(self) -> None:
        """Have the peer read nothing from now on."""

    @abstractmethod
    def resume(self) -> None:
        """Have the peer read again."""

    @abstractmethod
    async def lose(self) -> None:
        """Lose the connection without a close frame."""

    @abstractmethod
    async def end(self) -> None:
        """Clean up after the test."""
