"""A conversation over one WebSocket: what is typed is sent, what comes is shown."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

from roomcast import jsontext
from roomcast.client.refusals import body_text
from roomcast.errors import HandshakeRefused, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roomcast.client import Client
    from roomcast.protocol.events import Close, Event
    from roomcast.terminal.target import Target
    from roomcast.terminal.transcript import Transcript


async def converse(
    target: Target,
    lines: AsyncIterator[str | bytes],
    transcript: Transcript,
    *,
    binary: bool = False,
    linger: float = 0.0,
) -> Close:
    """Send each line as a message, and show what comes, until the lines end or the server closes.

    Args:
        target: whom to talk to. In a room of the chat, each line is something said there.
        lines: what to send.
        transcript: where to show it.
        binary: whether the lines are sent as binary messages.
        linger: how many seconds to listen on after the last line.

    Returns:
        What ended it.

    Raises:
        Unreachable: there is nobody to talk to.
        HandshakeFailed: the server does not want to.
        BrokenPipeError: nobody reads the transcript any more.
    """
    showing = _Showing(transcript)
    try:
        client = await target.open(showing.hear)
    except HandshakeRefused as error:
        transcript.refused(error.status or 0, body_text(error))
        raise
    transcript.opened(target.address, client)
    showing.begin()
    sending = asyncio.create_task(_send(lines, client, in_room=target.room is not None, binary=binary))
    try:
        await _first(sending, client.closed, showing.task)
        if sending.done():
            await sending
            await _first(client.closed, showing.task, timeout=linger)
        by_us = not client.closed.done() or client.failure is not None
        close = await client.close()
        showing.end()
        await showing.task
    finally:
        client.abort()
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
    transcript.closed(close, by_us=by_us)
    return close


class _Showing:
    """Shows what comes, in a task of its own: where that fails, it ends the conversation.

    What waits is what one read from the socket has brought: the task shows all of it before the next.
    """

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._is_over = False
        self.task: asyncio.Task[None]

    def hear(self, event: Event) -> None:
        self._events.append(event)
        self._news.set()

    def begin(self) -> None:
        self.task = asyncio.create_task(self._show())

    def end(self) -> None:
        self._is_over = True
        self._news.set()

    async def _show(self) -> None:
        while self._events or not self._is_over:
            await self._news.wait()
            self._news.clear()
            while self._events:
                event = self._events.popleft()
                if isinstance(event, str | bytes):
                    self._transcript.received(event)


async def _send(lines: AsyncIterator[str | bytes], client: Client, *, in_room: bool, binary: bool) -> None:
    async for line in lines:
        if in_room:
            text = line if isinstance(line, str) else line.decode()
            message: str | bytes = jsontext.dumps({"type": "message", "text": text})
        elif binary:
            message = line.encode() if isinstance(line, str) else line
        else:
            message = line if isinstance(line, str) else line.decode()
        try:
            client.send(message)
        except OutOfOrder:
            return
        await client.drain()


async def _first(*waited_for: asyncio.Future[Any], timeout: float = inf) -> None:
    await asyncio.wait(
        waited_for, timeout=None if timeout == inf else timeout, return_when=asyncio.FIRST_COMPLETED
    )
