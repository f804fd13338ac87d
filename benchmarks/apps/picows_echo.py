"""picows, with its echo: `picows_echo.py PORT`."""

from __future__ import annotations

import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server


class Echo(WSListener):
    """Sends back each message as it came, in one piece."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer a frame; what the load sends is never in fragments."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_memoryview())
        elif frame.msg_type == WSMsgType.BINARY:
            transport.send(WSMsgType.BINARY, frame.get_payload_as_memoryview())


def echo(_request: WSUpgradeRequest) -> Echo:
    """Make the listener of one connection."""
    return Echo()


async def main() -> None:
    """Serve for ever."""
    server = await ws_create_server(
        echo,
        "127.0.0.1",
        int(sys.argv[1]),
        max_frame_size=16 * 1024 * 1024,
        enable_auto_ping=True,
        auto_ping_idle_timeout=20,
        auto_ping_reply_timeout=20,
        backlog=2048,
    )
    await server.serve_forever()


uvloop.run(main())
