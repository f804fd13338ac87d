"""An app's own functions: each has a deadline, and one that fails has refused."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import Any

import pytest

from roomcast.auth import rules
from roomcast.auth.rules import Rule
from roomcast.auth.threads import Threads
from roomcast.errors import Forbidden, Undecided


def plain(value: Any) -> Any:
    return value, threading.current_thread() is threading.main_thread()


async def coroutine(value: Any) -> Any:
    return value, threading.current_thread() is threading.main_thread()


def begins_coroutine(value: Any) -> Any:
    return coroutine(value)


class Callable:
    async def __call__(self, value: Any) -> Any:
        return await coroutine(value)


@pytest.mark.parametrize(
    ("function", "in_loop"),
    [
        (plain, False),
        (partial(plain), False),
        (coroutine, True),
        (partial(coroutine), True),
        (Callable(), True),
        (begins_coroutine, True),
    ],
    ids=["plain", "partial", "async", "async partial", "object", "plain to async"],
)
async def test_a_plain_function_has_a_thread_and_a_coroutine_function_the_loop(
    function: Any, in_loop: bool
) -> None:
    assert await Rule("rule", function, 5).ask(7) == (7, in_loop)


async def test_what_it_raises_on_purpose_is_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    def no(_: Any) -> None:
        raise Forbidden("not on Sundays")

    with pytest.raises(Forbidden, match="not on Sundays"):
        await Rule("rule", no, 5).ask(0)
    assert not caplog.records


SECRET = "eyJhbGciOi.secret.token"


def raises(error: type[BaseException]) -> None:
    raise error(SECRET)


async def raises_in_loop(error: type[BaseException]) -> None:
    raises(error)


@pytest.mark.parametrize("function", [raises, raises_in_loop])
@pytest.mark.parametrize("error", [ValueError, KeyError])
async def test_what_it_raises_else_is_a_refusal_logged_once_by_kind_and_place(
    error: type[Exception], function: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rule = Rule("authorizer", function, 5)
    for _ in range(5):
        with pytest.raises(Undecided, match="cannot decide this now"):
            await rule.ask(error)
    (record,) = caplog.records
    assert f"the authorizer raised {error.__name__}, which is a refusal" in record.getMessage()
    assert "in raises" in record.getMessage()
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("function", "error"),
    [(raises, SystemExit), (raises, asyncio.CancelledError), (raises_in_loop, asyncio.CancelledError)],
)
async def test_one_that_wants_to_end_more_than_itself_has_refused(
    function: Any, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Undecided):
        await Rule("authorizer", function, 5).ask(error)
    assert "which is a refusal" in caplog.text
    assert SECRET not in caplog.text


async def test_one_that_is_late_is_a_refusal_in_time(caplog: pytest.LogCaptureFixture) -> None:
    heard = asyncio.Event()

    async def late(_: Any) -> bool:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.set()
            raise
        return True

    begun = time.monotonic()
    with pytest.raises(Undecided):
        await Rule("authenticator", late, 0.05).ask(0)
    assert time.monotonic() - begun < 2
    assert "the authenticator took longer than 0.05 s" in caplog.text
    async with asyncio.timeout(5):
        await heard.wait()


async def test_one_that_does_not_heed_its_end_holds_nobody_up() -> None:
    free = asyncio.Event()

    async def stubborn(_: Any) -> bool:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue
        raise ValueError

    with pytest.raises(Undecided):
        await Rule("rule", stubborn, 0.01).ask(0)
    free.set()


async def test_plain_functions_that_hang_are_few_and_what_comes_after_is_refused() -> None:
    end = threading.Event()
    running = 0

    def hang(_: Any) -> bool:
        nonlocal running
        running += 1
        end.wait(10)
        return True

    rule = Rule("rule", hang, 0.05)
    try:
        answers = await asyncio.gather(*(rule.ask(0) for _ in range(40)), return_exceptions=True)
        assert all(isinstance(answer, Undecided) for answer in answers)
        assert running <= rules.MOST_THREADS
    finally:
        end.set()
    async with asyncio.timeout(5):  # the threads have ended: there is room again
        while True:
            try:
                assert await rule.ask(0) is True
            except Undecided:
                continue
            break


async def test_who_gives_up_waiting_ends_the_function() -> None:
    ended = asyncio.Event()

    async def waiting(_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    asking = asyncio.ensure_future(Rule("rule", waiting, 5).ask(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(5):
        await ended.wait()


def test_threads_serve_one_loop_after_another() -> None:
    threads = Threads(1)

    async def call() -> list[int]:
        return list(await asyncio.gather(*(threads.call(len, "a") for _ in range(3))))

    assert asyncio.run(call()) == asyncio.run(call()) == [1, 1, 1]
