"""socketify (uWebSockets), with an echo, and with rooms at /ws/chat?room=NAME: `socketify_app.py PORT`."""

from __future__ import annotations

import sys
from typing import Any

from socketify import App, AppListenOptions, CompressOptions

SETTINGS = {
    "compression": CompressOptions.SHARED_COMPRESSOR,
    "max_payload_length": 16 * 1024 * 1024,
    "idle_timeout": 40,
    "max_backpressure": 2 * 1024 * 1024,
}

app = App()


def enter(response: Any, request: Any, context: Any) -> None:  # noqa: ANN401 - socketify has no types
    """Accept a connection, and remember its room."""
    key = request.get_header("sec-websocket-key")
    protocol = request.get_header("sec-websocket-protocol")
    extensions = request.get_header("sec-websocket-extensions")
    response.upgrade(key, protocol, extensions, context, request.get_query("room"))


app.ws(
    "/ws/chat",
    {
        **SETTINGS,
        "upgrade": enter,
        "open": lambda ws: ws.subscribe(ws.get_user_data()),
        "message": lambda ws, message, opcode: app.publish(ws.get_user_data(), message, opcode, True),
    },
)
app.ws("/*", {**SETTINGS, "message": lambda ws, message, opcode: ws.send(message, opcode, compress=True)})
app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"))
app.run()
