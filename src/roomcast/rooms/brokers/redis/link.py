"""Link: commands to one server, all on one connection, many on their way at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from roomcast.rooms.brokers.redis.connections import pack, refusal
from roomcast.rooms.brokers.redis.reconnecting import Reconnecting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from redis.asyncio.connection import AbstractConnection

    from roomcast.errors import BrokerUnavailable
    from roomcast.rooms.brokers.redis.connections import Argument, Connect
    from roomcast.rooms.brokers.redis.reconnecting import Trouble
    from roomcast.rooms.brokers.redis.scripts import Script
    from roomcast.rooms.brokers.redis.url import Location

    Greet: TypeAlias = Callable[["AbstractConnection"], Awaitable[str]]

WRITE_BYTES = 256 << 10
"""How many bytes of commands are written at a time."""
ELSEWHERE = AskError, ClusterDownError, MovedError, TryAgainError
"""What a server of a cluster says where a command is not its own, or not now."""
LATER = MasterDownError, ReadOnlyError
"""What a server says that takes commands again after a while, or has given way to another one."""


class Call:
    """A command on its way.

    Attributes:
        tag: what decides about its slot in a cluster.
        command: the command and its arguments.
        script: the script that it runs, if it does.
        answer: what comes of it.
        deadline: until when that is waited for, by the loop's clock.
        traced: whether its last argument is for how many milliseconds it may have been done already, "" at first.
        asking: whether the server is to take it before the slot is its own, which is moving there.
        sent: when it was sent last; 0 where it was not.
        first_sent: when it was sent first; 0 where it was not.
    """

    __slots__ = ("answer", "asking", "command", "deadline", "first_sent", "script", "sent", "tag", "traced")

    def __init__(
        self,
        tag: str,
        command: tuple[Argument, ...],
        answer: asyncio.Future[Any],
        deadline: float,
        script: Script | None = None,
        *,
        traced: bool = False,
    ) -> None:
        self.tag = tag
        self.command = command
        self.answer = answer
        self.deadline = deadline
        self.script = script
        self.traced = traced
        self.asking = False
        self.sent = 0.0
        self.first_sent = 0.0


class Link(Reconnecting):
    """Commands are sent in the order of their calls, those of one turn of the event loop together.

    A command whose answer was lost with its connection is sent again on the next one, until its deadline.

    Args:
        location: what errors name.
        connect: opens a connection.
        greet: is given each new connection, and gives the life of the server's data, which all scripts get.
        trouble: is told where a connection cannot be had.
        elsewhere: is given the calls that the server says are not its own, or not now.
        connected: is called when there is a connection.
        failed: is called after each connection that was lost.
    """

    def __init__(
        self,
        location: Location,
        connect: Connect,
        greet: Greet,
        trouble: Trouble,
        *,
        elsewhere: Callable[[Call, ResponseError], None],
        connected: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        super().__init__(connect, trouble, location.settings.timeout, connected=connected, failed=failed)
        self._location = location
        self._greeting = greet
        self._elsewhere = elsewhere
        self.life = "0"
        """The life of the server's data, as it was told last."""
        self._waiting: deque[Call] = deque()
        self._again: deque[Call] = deque()
        """Those to be sent before the ones that wait: they came earlier."""
        self._sent: deque[Call] = deque()
        self._wake = asyncio.Event()
        self._heard = 0.0
        self._whole: set[Script] = set()
        """The scripts that the server has forgotten: they are sent whole, once."""

    def call(self, call: Call) -> None:
        """Send a command soon. What comes of it is in its `answer`."""
        is_down = not self._up.is_set() and asyncio.get_running_loop().time() > self._down_since + self._timeout
        if is_down or self.has_ended:
            call.answer.set_exception(self._problem)
            return
        self._waiting.append(call)
        self._wake.set()

    def ask(self, tag: str, *command: Argument) -> asyncio.Future[Any]:
        """Send a plain command."""
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.call(Call(tag, command, answer, loop.time() + self._timeout))
        return answer

    def run(self, tag: str, script: Script, *arguments: Argument, traced: bool = False) -> asyncio.Future[Any]:
        """Run a script. It is given how many keys it has, its keys, its arguments, and the life of the data."""
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.call(Call(tag, arguments, answer, loop.time() + self._timeout, script, traced=traced))
        return answer

    def give_up(self, why: BrokerUnavailable) -> None:
        """Answer all calls with an error."""
        for call in self.take():
            if not call.answer.done():
                call.answer.set_exception(why)

    def take(self) -> list[Call]:
        """Give the calls that have no answer yet, and forget them."""
        calls = [*self._sent, *self._again, *self._waiting]
        for queue in (self._sent, self._again, self._waiting):
            queue.clear()
        return calls

    def answers(self) -> list[asyncio.Future[Any]]:
        """Give the answers that are still to come."""
        calls = (*self._sent, *self._again, *self._waiting)
        return [call.answer for call in calls if not call.answer.done()]

    def _ended(self) -> None:
        self.give_up(self._problem)

    async def _greet(self, connection: AbstractConnection) -> None:
        self.life = await self._greeting(connection)
        self._heard = asyncio.get_running_loop().time()
        self._whole.clear()

    async def _write(self, connection: AbstractConnection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._again or self._waiting:
                packed, size, now = [], 0, loop.time()
                while size < WRITE_BYTES and (self._again or self._waiting):
                    call = (self._again or self._waiting).popleft()
                    if call.answer.done():
                        continue  # nobody waits for it any more
                    data = self._packed(call, now)
                    if call.asking:
                        call.asking = False
                        data = pack(("ASKING",)) + data
                        self._sent.append(Call("", ("ASKING",), loop.create_future(), call.deadline))
                    self._sent.append(call)
                    packed.append(data)
                    size += len(data)
                await connection.send_packed_command(packed, check_health=False)

    def _packed(self, call: Call, now: float) -> bytes:
        command = call.command
        if call.traced and call.first_sent:
            command = (*command[:-1], int((now - call.first_sent) * 1000) + 1000)
        call.sent = now
        call.first_sent = call.first_sent or now
        script = call.script
        if script is None:
            return pack(command)
        if script in self._whole:
            self._whole.discard(script)
            return pack(("EVAL", script.text, *command, self.life))
        return pack(("EVALSHA", script.sha, *command, self.life))

    async def _read(self, connection: AbstractConnection) -> None:
        loop, sent = asyncio.get_running_loop(), self._sent
        while True:
            error: ResponseError | None = None
            try:
                reply = await connection.read_response(disable_decoding=True, timeout=float("inf"))
            except ResponseError as caught:
                error = caught
            self._heard = loop.time()
            call = sent.popleft()
            if error is not None:
                self._refused(call, error)
            elif not call.answer.done():
                call.answer.set_result(reply)

    def _refused(self, call: Call, error: ResponseError) -> None:
        if isinstance(error, NoScriptError) and call.script is not None:
            self._whole.add(call.script)
            self._again.append(call)
            self._wake.set()
        elif isinstance(error, ELSEWHERE):
            self._elsewhere(call, error)
        elif isinstance(error, LATER):
            self._sent.appendleft(call)
            raise error
        elif not call.answer.done():
            call.answer.set_exception(refusal(self._location, error))

    def _over(self) -> None:
        self._again.extend(self._sent)
        self._sent.clear()
        self._wake.set()

    def _look(self, now: float) -> None:
        silent = self._sent and min(now - self._sent[0].sent, now - self._heard) > self._timeout
        if silent:
            self._problem = self._trouble.tell(TimeoutError())
            self.drop()
        for queue in (self._sent, self._again, self._waiting):
            self._expire(queue, now)
        if self._up.is_set() and not self._sent and now - self._heard > self._timeout / 2:
            self.ask("", "PING").add_done_callback(_ignore)

    def _expire(self, calls: Iterable[Call], now: float) -> None:
        # Each queue has the earliest deadlines first, but for what was sent again.
        for call in calls:
            if call.deadline > now:
                break
            if not call.answer.done():
                problem = self._problem if not self._up.is_set() else refusal(self._location, TimeoutError())
                call.answer.set_exception(problem)


def _ignore(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()
