"""Running the app: what becomes of a connection when its app returns or raises."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from roomcast.close_codes import CloseCode
from roomcast.errors import Disconnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.server.session import Session

logger = logging.getLogger("roomcast.server")
# Where operators of uvicorn look for the tracebacks of their apps.
app_logger = logging.getLogger("uvicorn.error")


async def run_app(app: Any, scope: dict[str, Any], session: Session) -> None:  # noqa: ANN401 - any ASGI app
    """Run the app for one connection, and end the connection with it."""
    try:
        result = await app(scope, session.receive, session.send)
    except BaseException as error:  # whatever it was, the peer is to be told
        code = session.end_code
        if code is not None and tells_the_end(error, code):
            logger.debug("the app let the disconnect through: %r", error)
        elif isinstance(error, asyncio.CancelledError):
            logger.debug("the app was cancelled")
        else:
            app_logger.exception("Exception in ASGI application\n")
        session.end(500, "Internal Server Error", CloseCode.INTERNAL_ERROR)
    else:
        if result is not None:
            app_logger.error("ASGI callable should return None, but returned %r.", result)
        if session.is_opening():
            app_logger.error("ASGI callable returned without answering the handshake.")
        session.end(500, "Internal Server Error", CloseCode.NORMAL)


def tell_of_the_end(callbacks: list[Callable[[int, str], None]], code: int, reason: str) -> None:
    """Call all that want to know of a connection's end, with its code and reason."""
    for callback in callbacks:
        try:
            callback(code, reason)
        except Exception:  # the others are to be called all the same, and the connection is to end
            logger.exception("a callback for the end of a connection raised")


def tells_the_end(error: BaseException, code: int) -> bool:
    """Whether an exception is, or was made of, what told the app of the disconnect.

    Frameworks have their own for it, such as Starlette's `WebSocketDisconnect`, with a close code as `code`. What
    else was raised while one was handled is an error like any other.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(tells_the_end(part, code) for part in error.exceptions)
    if isinstance(error, Disconnected) or getattr(error, "code", None) == code:
        return True
    origin = error.__cause__
    if origin is None and isinstance(getattr(error, "code", None), int):
        origin = error.__context__
    return origin is not None and tells_the_end(origin, code)
