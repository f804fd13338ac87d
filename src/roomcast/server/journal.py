"""Journal: the line that is logged of each connection at its end.

It has no query string, where tokens stand. What it says is in the record too, as `fields`, for formatters that
write something else than text.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from roomcast.addresses import in_a_log

if TYPE_CHECKING:
    from roomcast.server.session import Session

# Where uvicorn's own WebSockets are logged, and its users look for them.
logger = logging.getLogger("uvicorn.error")

Client = tuple[str, int] | None
"""Host and port, None for a Unix socket."""


def log_end(session: Session, client: Client, path: str, reason: str, seconds: float) -> None:
    """Log the end of a connection that was open for `seconds`."""
    if not logger.isEnabledFor(logging.INFO):
        return
    traffic = session.traffic
    logger.info(
        '%s - "WebSocket %s"%s closed %d%s after %.1f s: %d messages and %d bytes in, %d and %d out',
        _shown(client),
        quote(path),
        "" if session.user is None else f" of {session.user!r}",
        session.end_code,
        f" {reason!r}" if reason else "",
        seconds,
        *traffic,
        extra={
            "fields": {
                "client": _shown(client),
                "path": path,
                "user": session.user,
                "code": session.end_code,
                "reason": reason,
                "seconds": round(seconds, 3),
                **traffic._asdict(),
            }
        },
    )


def log_refusal(client: Client, path: str, status: int) -> None:
    """Log a request for a WebSocket that was refused."""
    if logger.isEnabledFor(logging.INFO):
        fields = {"client": _shown(client), "path": path, "status": status}
        logger.info('%s - "WebSocket %s" %d', fields["client"], quote(path), status, extra={"fields": fields})


def _shown(client: Client) -> str:
    return in_a_log(":".join(map(str, client or ())))
