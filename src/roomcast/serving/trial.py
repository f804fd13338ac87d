"""Trying an app in a process of its own, so that the one that only supervises workers never imports it."""

from __future__ import annotations

import asyncio
import multiprocessing
from typing import TYPE_CHECKING

from roomcast.errors import ConfigurationError
from roomcast.serving.supervising import ctrl_c_held_back

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from roomcast.serving.apps import AppReference


def try_aside(app: AppReference) -> None:
    """Import the app, and call its factory, in a process that is thrown away afterwards.

    A supervisor that imported it would keep its memory, its threads and the ports it opens, which its workers
    then could not open.

    Raises:
        ConfigurationError: as `AppReference.create`.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_try, args=(app, sender))
    with receiver:
        with sender, ctrl_c_held_back():
            process.start()
        try:
            problem: str = receiver.recv()
        except EOFError:
            problem = f"importing {app.module} ended the process"
        finally:
            # The app may have started threads that would keep it alive.
            process.kill()
            process.join()
    if problem:
        raise ConfigurationError(problem)


def _try(app: AppReference, result: Connection) -> None:
    try:
        # A factory is called within a running event loop, as uvicorn calls it.
        asyncio.run(_create(app))
    except ConfigurationError as error:
        result.send(str(error))
    else:
        result.send("")


async def _create(app: AppReference) -> None:
    app.create()
