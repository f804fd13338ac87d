"""Rules: an app's own functions that decide, each with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from typing import TYPE_CHECKING, Any

from roomcast.auth.threads import Threads
from roomcast.complaints import Complaints
from roomcast.errors import AccessDenied, Undecided

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("roomcast.auth")

MOST_THREADS = 16
"""How many plain functions of one kind run at a time."""
FAILED = "the server cannot decide this now: try again later"


class Rule:
    """An app's function that decides something.

    A plain function runs in a thread of its own, so it may wait; a coroutine function runs in the event loop. One
    that raises anything but `AccessDenied`, or takes too long, has refused, and that is logged, once in a minute.
    What it raised is told by its kind and place alone: its words may hold a token.

    Args:
        what: what it is, for the log.
        function: the function.
        timeout: how many seconds it may take.
    """

    def __init__(self, what: str, function: Callable[..., Any], timeout: float) -> None:
        self._what = what
        self._function = function
        self._timeout = timeout
        self._is_async = _is_async(function)
        self._threads = Threads(MOST_THREADS)
        self._complaints = Complaints(logger)

    async def ask(self, *args: object) -> Any:  # noqa: ANN401 - whatever it returns
        """Give what the function returns.

        Raises:
            AccessDenied: what it raised; `Undecided` if it failed.
        """
        task = asyncio.create_task(self._call(*args))
        try:
            await asyncio.wait([task], timeout=self._timeout)
        finally:
            late = not task.done()
            if late:
                task.cancel()  # and not waited for: it may not heed it
                task.add_done_callback(_forget)
        if late:
            self._complaints.tell("the %s took longer than %g s, which is a refusal", self._what, self._timeout)
            raise Undecided(FAILED)
        if task.cancelled():
            self._complaints.tell("the %s was cancelled, which is a refusal", self._what)
            raise Undecided(FAILED)
        error = task.exception()
        if isinstance(error, AccessDenied):
            raise error
        if error is not None:
            self._complain_of(error)
            raise Undecided(FAILED)
        return task.result()

    def no_good(self, expected: str, result: object) -> Undecided:
        """Log that the function returned what it may not, and make the refusal."""
        self._complaints.tell(
            "the %s returned %s, and not %s, which is a refusal", self._what, type(result).__name__, expected
        )
        return Undecided(FAILED)

    async def _call(self, *args: object) -> Any:  # noqa: ANN401
        result = self._function(*args) if self._is_async else await self._threads.call(self._function, *args)
        return await result if inspect.isawaitable(result) else result

    def _complain_of(self, error: BaseException) -> None:
        frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
        kind = type(error).__name__
        self._complaints.tell("the %s raised %s, which is a refusal, in\n%s", self._what, kind, frames)


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - it is asked whether that is a coroutine function
    )


def _forget(task: asyncio.Task[Any]) -> None:
    """Take what a late function raises after all: nobody asks for it any more."""
    if not task.cancelled():
        task.exception()
