"""Who is written to in which turn of the event loop."""

from __future__ import annotations

import asyncio

from roomcast.rooms.turns import STARTS, Turns
from tests.rooms.guests import settled, until


class Peer:
    """What is to be written to, and takes it at once where it reads.

    Attributes:
        writers: the tasks that wrote to it.
        turn: the turn in which it was written to.
    """

    def __init__(self, clock: Clock, *, reads: bool = True) -> None:
        self._clock = clock
        self.reads = asyncio.Event()
        if reads:
            self.reads.set()
        self.writers: list[asyncio.Task[None] | None] = []
        self.turn: int | None = None

    async def write(self, writer: asyncio.Task[None] | None) -> None:
        self.writers.append(writer)
        assert writer is asyncio.current_task()
        if not self.reads.is_set():
            await self.reads.wait()
        self.turn = self._clock.turn


class Clock:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.turn = 0
        self._tick()

    def _tick(self) -> None:
        self.turn += 1
        self._handle = asyncio.get_running_loop().call_soon(self._tick)

    def stop(self) -> None:
        self._handle.cancel()


async def test_those_that_read_are_written_to_by_one_task_a_turn() -> None:
    clock, turns = Clock(), Turns(asyncio.get_running_loop())
    peers = [Peer(clock) for _ in range(3 * STARTS + 1)]
    for peer in peers:
        turns.take(peer)
    await until(lambda: peers[-1].turn)
    first = peers[0].turn
    assert first is not None
    assert [peer.turn for peer in peers] == [first + number // STARTS for number in range(len(peers))]
    assert len({peer.writers[0] for peer in peers}) == 4
    clock.stop()


async def test_one_that_does_not_read_has_the_others_wait_for_one_turn() -> None:
    clock, turns = Clock(), Turns(asyncio.get_running_loop())
    stuck = [Peer(clock, reads=False) for _ in range(2)]
    before, between, after = Peer(clock), Peer(clock), Peer(clock)
    for peer in (before, stuck[0], between, stuck[1], after):
        turns.take(peer)
    await until(lambda: after.turn)
    assert before.turn is not None
    assert [before.turn, between.turn, after.turn] == [before.turn + number for number in range(3)]
    assert before.writers == stuck[0].writers != between.writers
    late = Peer(clock)
    turns.take(late)
    await until(lambda: late.turn)
    for peer in stuck:
        peer.reads.set()
    await until(lambda: all(peer.turn for peer in stuck))
    await settled()
    assert len(asyncio.all_tasks()) == 1, "and each writer has ended"
    clock.stop()


async def test_a_writer_that_is_cancelled_takes_nobody_with_it() -> None:
    clock, turns = Clock(), Turns(asyncio.get_running_loop())
    stuck, after = Peer(clock, reads=False), Peer(clock)
    turns.take(stuck)
    turns.take(after)
    await until(lambda: stuck.writers)
    writer = stuck.writers[0]
    assert writer is not None
    writer.cancel()
    await until(lambda: after.turn)
    await until(writer.done)
    assert stuck.turn is None
    clock.stop()
