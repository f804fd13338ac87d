"""Where lines come from: a person who types them, or the standard input."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain
from typing import TYPE_CHECKING

from platformdirs import user_state_path
from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

HISTORY_BYTES = 1 << 20
"""When the file with what was typed is longer, it begins anew."""
WAITING_LINES = 100
"""How many lines of the standard input are read ahead."""
CHUNK = 64 << 10
"""How many bytes of it are read at once."""
MAX_LINE = 16 << 20
"""The most bytes in a line of the standard input; what is longer comes as several."""


@contextmanager
def prompting() -> Iterator[AsyncIterator[str]]:
    """Give what a person types, line by line, with what they typed before at hand.

    In the block, what is printed comes above the line that is being typed. The lines end with Ctrl+D and Ctrl+C.
    """
    session: PromptSession[str] = PromptSession(history=_history())

    async def lines() -> AsyncIterator[str]:
        with suppress(EOFError, KeyboardInterrupt):
            while True:
                yield await session.prompt_async("> ")

    # Raw all the time: a Ctrl+D that is typed while something is printed, or between two prompts, would be the
    # terminal's, and be lost.
    session.input.cooked_mode = nullcontext  # type: ignore[method-assign]
    with patch_stdout(raw=True), session.input.raw_mode():
        yield lines()


async def piped() -> AsyncIterator[bytes]:
    """Give the lines of the standard input, without their ends."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    ahead = threading.Semaphore(WAITING_LINES)

    def read() -> None:
        # A thread that may be left behind: nothing else can read a terminal, a file and a pipe alike.
        with suppress(RuntimeError, OSError):  # the loop was closed, or there is nothing to read from
            for line in chain(_lines(sys.stdin.fileno()), (b"",)):
                ahead.acquire()
                loop.call_soon_threadsafe(queue.put_nowait, line)

    threading.Thread(target=read, daemon=True).start()
    while line := await queue.get():
        ahead.release()
        yield line.removesuffix(b"\n").removesuffix(b"\r")


def _lines(descriptor: int) -> Iterator[bytes]:
    """Read lines with their ends, not through `sys.stdin`: its lock must be free when the interpreter ends."""
    parts: list[bytes] = []
    size = 0
    while data := os.read(descriptor, CHUNK):
        first, end, rest = data.partition(b"\n")
        while end:
            yield b"".join((*parts, first, end))
            parts, size = [], 0
            first, end, rest = rest.partition(b"\n")
        parts.append(first)
        size += len(first)
        if size >= MAX_LINE:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)


def _history() -> History:
    """Give what was typed at earlier times: a file that only its owner reads, since tokens are typed, too."""
    folder = user_state_path("roomcast", appauthor=False)
    file = folder / "connect-history"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size > HISTORY_BYTES:
            file.unlink()
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))
