"""What every outlet does, whatever lies between it and the peer.

An implementation takes part by a `Wire`: its outlet, and the peer's end of the connection.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import pytest

from roomcast import CloseCode
from roomcast.protocol.prepared import PreparedMessage
from roomcast.rooms import AsgiOutlet, Outlet
from tests.rooms.guests import DEADLINE, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Message

BOUND = 10_000
"""The bound of the outlets here, in bytes."""


class Wire(ABC):
    """An outlet, and the peer that it leads to.

    Attributes:
        outlet: an outlet of an open connection, with `BOUND` bytes.
        in_flight: how many bytes of messages may be under way, taken off the outlet and not yet read, when the
            peer reads nothing.
    """

    outlet: Outlet
    in_flight: ClassVar[int]

    @abstractmethod
    async def message(self) -> str | bytes:
        """Wait for the next message at the peer."""

    @abstractmethod
    async def close_frame(self) -> tuple[int, str]:
        """Wait for the close frame at the peer; messages before it are an error."""

    @abstractmethod
    def stall(self) -> None:
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


class AsgiWire(Wire):
    """An `AsgiOutlet` on an ASGI send that hands each event straight to the peer."""

    in_flight = 0

    def __init__(self) -> None:
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._reads = asyncio.Event()
        self._reads.set()
        self._lost = False
        self._outlet = AsgiOutlet(self._send, bound=BOUND)
        self.outlet: Outlet = self._outlet

    async def _send(self, event: Message) -> None:
        await self._reads.wait()
        if self._lost:
            raise OSError("the peer has gone")
        self._events.put_nowait(dict(event))
        event.clear()  # a server may do with its event what it likes

    async def message(self) -> str | bytes:
        event = await asyncio.wait_for(self._events.get(), DEADLINE)
        assert event.pop("type") == "websocket.send"
        [(kind, data)] = event.items()
        assert isinstance(data, {"text": str, "bytes": bytes}[kind])
        assert isinstance(data, str | bytes)
        return data

    async def close_frame(self) -> tuple[int, str]:
        event = await asyncio.wait_for(self._events.get(), DEADLINE)
        assert event["type"] == "websocket.close"
        return event["code"], event["reason"]

    def stall(self) -> None:
        self._reads.clear()

    def resume(self) -> None:
        self._reads.set()

    async def lose(self) -> None:
        self._lost = True
        self._reads.set()

    async def end(self) -> None:
        self._reads.set()
        await self._outlet.finish()


@pytest.fixture(params=[AsgiWire], ids=["asgi"])
async def wire(request: pytest.FixtureRequest) -> AsyncIterator[Wire]:
    wire: Wire = request.param()
    yield wire
    await wire.end()


def message(size: int = 1000, fill: str = "x") -> PreparedMessage:
    return PreparedMessage(fill * size)


def fill(outlet: Outlet, size: int = 1000) -> int:
    """Offer messages until one is not taken, and say how many were."""
    taken = 0
    while outlet.offer(message(size)):
        taken += 1
        assert taken * size < 100 * BOUND, "there is no bound"
    return taken


async def test_text_and_binary_messages_reach_the_peer_as_what_they_are(wire: Wire) -> None:
    for data in ("é", b"\x00\xff", "", b""):
        assert wire.outlet.offer(PreparedMessage(data))
        assert await wire.message() == data


async def test_messages_go_out_in_the_order_of_the_offers(wire: Wire) -> None:
    for number in range(20):
        assert wire.outlet.offer(PreparedMessage(str(number)))
    assert [await wire.message() for _ in range(20)] == [str(number) for number in range(20)]


async def test_offers_between_writes_stay_in_order(wire: Wire) -> None:
    received: list[str | bytes] = []
    for number in range(50):
        wire.outlet.offer(PreparedMessage(str(number)))
        for _ in range(number % 4):
            await asyncio.sleep(0)
    while len(received) < 50:
        received.append(await wire.message())
    assert received == [str(number) for number in range(50)]


async def test_a_new_outlet_is_open_and_empty(wire: Wire) -> None:
    assert not wire.outlet.closed
    assert wire.outlet.queued_bytes == 0


async def test_queued_bytes_count_what_the_peer_has_not_taken(wire: Wire) -> None:
    wire.stall()
    wire.outlet.offer(PreparedMessage("é"))
    wire.outlet.offer(PreparedMessage(b"abc"))
    assert wire.outlet.queued_bytes == 5
    await asyncio.sleep(0)
    assert wire.outlet.queued_bytes >= 5 - wire.in_flight
    wire.resume()
    assert [await wire.message(), await wire.message()] == ["é", b"abc"]
    await until(lambda: wire.outlet.queued_bytes == 0)


async def test_an_offer_to_a_stalled_peer_does_not_wait_and_what_waits_comes_when_it_reads(wire: Wire) -> None:
    wire.stall()
    for number in range(5):
        assert wire.outlet.offer(PreparedMessage(str(number)))
        await asyncio.sleep(0)
    wire.resume()
    assert [await wire.message() for _ in range(5)] == ["0", "1", "2", "3", "4"]


async def test_what_does_not_fit_beside_what_waits_closes_the_outlet(wire: Wire) -> None:
    wire.stall()
    taken = fill(wire.outlet)
    assert taken * 1000 <= BOUND + wire.in_flight
    assert taken * 1000 >= BOUND / 2
    assert wire.outlet.closed
    assert wire.outlet.queued_bytes == 0


async def test_at_the_bound_the_peer_is_told_to_come_back_and_gets_nothing_more_of_what_waited(wire: Wire) -> None:
    wire.stall()
    fill(wire.outlet)
    wire.resume()
    code, reason = await wire.close_frame()
    assert code == CloseCode.TOO_SLOW
    assert "come back and resume" in reason
    assert len(reason.encode()) <= 123


async def test_a_message_over_the_bound_is_taken_while_nothing_waits(wire: Wire) -> None:
    assert wire.outlet.offer(message(3 * BOUND))
    assert len(await wire.message()) == 3 * BOUND
    await until(lambda: wire.outlet.queued_bytes == 0)
    assert wire.outlet.offer(message(3 * BOUND))
    assert len(await wire.message()) == 3 * BOUND


async def test_a_message_over_the_bound_is_too_much_beside_another(wire: Wire) -> None:
    wire.stall()
    assert wire.outlet.offer(message(1 + wire.in_flight))
    assert not wire.outlet.offer(message(3 * BOUND))
    assert wire.outlet.closed


@pytest.mark.parametrize("size", [0, 1])
async def test_small_and_empty_messages_are_bounded_too(wire: Wire, size: int) -> None:
    wire.stall()
    taken = 0
    while wire.outlet.offer(message(size)):
        taken += 1
        assert taken <= BOUND / 50, "each takes 50 bytes and more in memory"
    assert wire.outlet.closed


async def test_a_closed_outlet_takes_nothing(wire: Wire) -> None:
    wire.outlet.close(4000)
    assert wire.outlet.closed
    assert not wire.outlet.offer(message())
    assert wire.outlet.queued_bytes == 0
    assert await wire.close_frame() == (4000, "")


async def test_closing_tells_the_peer_code_and_reason(wire: Wire) -> None:
    wire.outlet.close(4001, "no token")
    assert await wire.close_frame() == (4001, "no token")


async def test_closing_drops_what_waits_behind_a_stalled_peer(wire: Wire) -> None:
    closes: list[int] = []
    wire.outlet.on_close(lambda code, _reason: closes.append(code))
    wire.stall()
    for _ in range(5):
        wire.outlet.offer(message())
    await asyncio.sleep(0)
    wire.outlet.close(4001)
    assert wire.outlet.queued_bytes == 0
    wire.resume()
    assert (await wire.close_frame())[0] == 4001
    assert closes == [4001]


async def test_the_first_close_counts(wire: Wire) -> None:
    closes: list[tuple[int, str]] = []
    wire.outlet.on_close(lambda code, reason: closes.append((code, reason)))
    wire.outlet.close(4001, "first")
    wire.outlet.close(4002, "second")
    assert closes == [(4001, "first")]
    assert await wire.close_frame() == (4001, "first")


async def test_every_callback_learns_of_the_close_once(wire: Wire) -> None:
    closes: list[tuple[str, int, str]] = []
    wire.outlet.on_close(lambda code, reason: closes.append(("one", code, reason)))
    wire.outlet.on_close(lambda code, reason: closes.append(("two", code, reason)))
    wire.outlet.close(4001, "no token")
    assert sorted(closes) == [("one", 4001, "no token"), ("two", 4001, "no token")]


async def test_callbacks_learn_of_the_bound_before_the_offer_returns(wire: Wire) -> None:
    closes: list[int] = []
    wire.outlet.on_close(lambda code, _reason: closes.append(code))
    wire.stall()
    fill(wire.outlet)
    assert closes == [CloseCode.TOO_SLOW]


async def test_a_callback_may_close_and_offer_again(wire: Wire) -> None:
    taken: list[bool] = []

    def again(_code: int, _reason: str) -> None:
        wire.outlet.close(4002)
        taken.append(wire.outlet.offer(message()))

    wire.outlet.on_close(again)
    wire.outlet.close(4001)
    assert taken == [False]
    assert (await wire.close_frame())[0] == 4001


async def test_a_lost_connection_closes_the_outlet_as_abnormal(wire: Wire) -> None:
    closes: list[tuple[int, str]] = []
    wire.outlet.on_close(lambda code, reason: closes.append((code, reason)))
    await wire.lose()
    wire.outlet.offer(message())
    await until(lambda: wire.outlet.closed)
    assert closes == [(CloseCode.ABNORMAL, "")]
    assert wire.outlet.queued_bytes == 0
    assert not wire.outlet.offer(message())
    wire.outlet.close(4000)
    assert len(closes) == 1


async def test_a_connection_that_is_lost_while_messages_wait_closes_the_outlet(wire: Wire) -> None:
    wire.stall()
    for _ in range(5):
        wire.outlet.offer(message())
    await asyncio.sleep(0)
    await wire.lose()
    wire.outlet.offer(message())
    await until(lambda: wire.outlet.closed)
    assert wire.outlet.queued_bytes == 0


async def test_drained_returns_at_once_where_nothing_waits(wire: Wire) -> None:
    await asyncio.wait_for(wire.outlet.drained(), DEADLINE)


async def test_drained_waits_for_the_peer(wire: Wire) -> None:
    wire.stall()
    for _ in range(3):
        wire.outlet.offer(message(3000 + wire.in_flight))
    draining = asyncio.ensure_future(wire.outlet.drained())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not draining.done()
    wire.resume()
    await asyncio.wait_for(draining, DEADLINE)
    assert wire.outlet.queued_bytes == 0


@pytest.mark.parametrize("how", ["close", "lose"])
async def test_drained_returns_where_the_outlet_closes(wire: Wire, how: str) -> None:
    wire.stall()
    wire.outlet.offer(message(3000 + wire.in_flight))
    draining = asyncio.ensure_future(wire.outlet.drained())
    await asyncio.sleep(0)
    assert not draining.done()
    if how == "close":
        wire.outlet.close(4000)
    else:
        await wire.lose()
    await asyncio.wait_for(draining, DEADLINE)
    assert wire.outlet.closed
    wire.resume()


async def test_giving_up_on_drained_changes_nothing(wire: Wire) -> None:
    wire.stall()
    wire.outlet.offer(PreparedMessage("x"))
    draining = asyncio.ensure_future(wire.outlet.drained())
    await asyncio.sleep(0)
    draining.cancel()
    await asyncio.wait([draining])
    wire.resume()
    assert await wire.message() == "x"


async def test_one_prepared_message_may_go_to_the_same_peer_many_times(wire: Wire) -> None:
    prepared = PreparedMessage("again")
    for _ in range(3):
        wire.outlet.offer(prepared)
        assert await wire.message() == "again"
    assert prepared.data == "again"
