"""picows, with an echo, and with rooms at /ws/chat?room=NAME: `picows_app.py PORT`."""

from __future__ import annotations

import sys
from urllib.parse import parse_qs, urlsplit

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY)

rooms: dict[str, set[WSTransport]] = {}


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


class Chat(WSListener):
    """Sends each message to all members of its room, one after the other."""

    def __init__(self, room: str) -> None:
        self._room = room

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Join the room."""
        rooms.setdefault(self._room, set()).add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Leave it."""
        rooms[self._room].discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Send a frame to all."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type in MESSAGES:
            message = frame.get_payload_as_bytes()
            for member in rooms[self._room]:
                member.send(frame.msg_type, message)


def listener(request: WSUpgradeRequest) -> WSListener:
    """Make the listener of one connection."""
    url = urlsplit(request.path.decode())
    return Chat(parse_qs(url.query)["room"][0]) if url.path == "/ws/chat" else Echo()


async def main() -> None:
    """Serve for ever."""
    server = await ws_create_server(
        listener,
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
