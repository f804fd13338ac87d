"""The load: connections to one server, and messages on them as the plan has them."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from roomcast.protocol.negotiation import DeflateOptions
from roomcast.terminal.bench.histogram import Histogram
from roomcast.terminal.bench.metronome import Metronome
from roomcast.terminal.bench.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.client import Client
    from roomcast.protocol.events import Close, Event
    from roomcast.terminal.bench.plan import Plan
    from roomcast.terminal.target import Target

AT_ONCE = 64
"""How many connections are being opened at a time."""
WINDOWS = 120
"""In how many parts at the most a run is shown."""
QUIET = 0.25
"""After how many seconds without a message the load has settled: in a room, each one who came was told of."""
PATIENCE = 10.0
"""For how many seconds without a delivery the last ones are waited for, and for how many it may take to settle."""
CLOSING = 2.0
"""How many seconds there are to close all connections."""


class Load:
    """Opens connections, sends on schedule, and counts what comes back.

    Args:
        target: whom to load.
        plan: with what.
        opened: called with how many connections are open, at each.
        progressed: called with how many messages were sent, now and then.
    """

    def __init__(
        self, target: Target, plan: Plan, opened: Callable[[int], None], progressed: Callable[[int], None]
    ) -> None:
        self._target = target
        self._plan = plan
        self._tell_opened = opened
        self._tell_progress = progressed
        self._clients: list[Client] = []
        window = max(1.0, plan.seconds / WINDOWS)
        self._window = round(window * 1e9)
        windows = [Histogram() for _ in range(max(1, round(plan.seconds / window)))]
        self._result = Result(str(target.address), plan, window, windows)
        self._start = 0
        self._next = 0
        self._delivered = 0
        self._last_heard = 0.0
        self._last_delivery = 0
        self._is_running = False

    async def run(self) -> Result:
        """Do all of it.

        Raises:
            Unreachable: there is no server.
            HandshakeFailed: it does not want all these connections.
        """
        try:
            await self._open()
            await self._settle()
            await self._send()
            return self._result
        finally:
            self._is_running = False
            closing = [asyncio.ensure_future(client.close(timeout=CLOSING)) for client in self._clients]
            if closing:
                await asyncio.wait(closing, timeout=CLOSING * 2)

    async def _open(self) -> None:
        free = asyncio.Semaphore(AT_ONCE)
        result = self._result
        deflate = DeflateOptions() if self._plan.deflate else None

        async def open_one() -> None:
            async with free:
                began = time.perf_counter_ns()
                client = await self._target.open(self._hear, deflate=deflate)
                result.opening.add(time.perf_counter_ns() - began)
            self._clients.append(client)
            client.closed.add_done_callback(self._note_close)
            self._tell_opened(len(self._clients))

        began = time.perf_counter()
        await open_one()  # so that a server that is not there is said so of once
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._plan.connections - 1):
                    tasks.create_task(open_one())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        result.opening_seconds = time.perf_counter() - began

    async def _settle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while (quiet := time.perf_counter() - self._last_heard) < QUIET:  # noqa: ASYNC110 - silence
                    await asyncio.sleep(QUIET - quiet)

    async def _send(self) -> None:
        plan, result = self._plan, self._result
        done = asyncio.Event()
        cpu = time.process_time()
        self._is_running = True
        self._start = self._last_delivery = time.perf_counter_ns()

        def beat() -> None:
            if not self._is_running:
                return
            while self._next < plan.messages:
                due = self._start + plan.due(self._next)
                now = time.perf_counter_ns()
                if due > now:
                    return
                self._send_one(self._next, now - due)
                self._next += 1
            done.set()

        interval = max(1, round(plan.burst * 1e9 / plan.rate))
        with Metronome(asyncio.get_running_loop(), beat, interval):
            while not done.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await done.wait()
                self._tell_progress(self._next)
        result.cpu = (time.process_time() - cpu) / ((time.perf_counter_ns() - self._start) / 1e9)
        await self._await_the_last()
        result.elapsed = max(1, self._last_delivery - self._start) / 1e9
        self._is_running = False

    def _send_one(self, number: int, late: int) -> None:
        clients, result = self._clients, self._result
        client = clients[number % len(clients)]
        if not client.takes_more:
            result.unsent += 1
            return
        client.send(self._plan.message(number))
        result.lateness.add(late)
        result.sent += 1
        result.due += len(clients) - result.closes.total() if self._plan.room else 1

    async def _await_the_last(self) -> None:
        """Wait for what is due still, as long as something comes, or can."""
        deadline, heard = time.perf_counter() + PATIENCE, self._delivered
        while self._delivered < self._result.due and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
            if all(client.closed.done() for client in self._clients):
                return
            if heard != self._delivered:
                deadline, heard = time.perf_counter() + PATIENCE, self._delivered

    def _hear(self, event: Event) -> None:
        if type(event) is not str:
            return
        now = time.perf_counter_ns()
        number = self._plan.number(event)
        if number is None or not self._is_running:
            self._last_heard = now / 1e9
            return
        due = self._plan.due(number)
        windows = self._result.windows
        windows[min(due // self._window, len(windows) - 1)].add(now - self._start - due)
        self._delivered += 1
        self._last_delivery = now

    def _note_close(self, closed: asyncio.Future[Close]) -> None:
        if self._is_running:
            self._result.closes[closed.result().code] += 1
