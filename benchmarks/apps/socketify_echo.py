"""socketify (uWebSockets), with its echo: `socketify_echo.py PORT`."""

from __future__ import annotations

import sys

from socketify import App, AppListenOptions, CompressOptions

app = App()
app.ws(
    "/*",
    {
        "compression": CompressOptions.SHARED_COMPRESSOR,
        "max_payload_length": 16 * 1024 * 1024,
        "idle_timeout": 40,
        "max_backpressure": 64 * 1024 * 1024,
        "message": lambda ws, message, opcode: ws.send(message, opcode, compress=True),
    },
)
app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"))
app.run()
