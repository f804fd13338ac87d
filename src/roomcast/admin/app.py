"""The operator's page as an ASGI app, to be mounted: the page over HTTP, and its WebSocket."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from roomcast.admin.gate import Gate
from roomcast.admin.live import Live
from roomcast.app import websocket_app
from roomcast.errors import ConfigurationError
from roomcast.pages import page_routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.rooms import Rooms


def as_notice(text: str) -> dict[str, str]:
    """Write a notice as JSON, which the chat's clients are shown as a message of the operator's."""
    return {"type": "notice", "text": text, "from": "Operator"}


def admin_app(rooms: Rooms, token: str | None = None, *, notice: Callable[[str], Any] = as_notice) -> Starlette:
    """Make the operator's page, as an ASGI app to be mounted where it is to be.

    ```python
    app.mount("/admin", admin_app(rooms, token))  # FastAPI or Starlette; the page is at /admin/
    ```

    It sees the rooms and members of all nodes, and can close connections and publish, so who knows the token is
    trusted with all of that. Ten wrong tokens of one address close it for that address for a minute.

    Args:
        rooms: the rooms, which the app keeps open.
        token: what an operator has to type in. Without one, `ROOMCAST_ADMIN_TOKEN` of the environment.
        notice: gives what is published for the text of a notice: what the app's own clients understand. Otherwise
            they get `{"type": "notice", "text": …, "from": "Operator"}`.

    Raises:
        ConfigurationError: if there is no token, or an empty one.
    """
    if token is None:
        token = os.environ.get("ROOMCAST_ADMIN_TOKEN")
    if token is None:
        raise ConfigurationError(
            "the operator's page needs a token: admin_app(rooms, token), or ROOMCAST_ADMIN_TOKEN set"
        )
    live = Live(rooms, Gate(token), notice)
    app = Starlette(routes=[*page_routes("roomcast.admin"), WebSocketRoute("/live", websocket_app(live))])
    app.router.redirect_slashes = False
    return app
