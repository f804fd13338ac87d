"""What the clients send: the request that opens a connection, and messages in frames."""

from __future__ import annotations

import json
import random
import struct
import zlib
from dataclasses import dataclass

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The sample of RFC 6455, section 1.3, and its answer."""

DEFLATE_OFFER = b"permessage-deflate; client_max_window_bits"
"""As browsers offer it."""

MASK = bytes.fromhex("37fa213d")

ECHO_PATH = "/ws/echo"
ROOM_PATH = "/ws/chat?room=00000"
"""Where the load writes the number of a room."""

NUMBER = "~0000000"
"""Where the load writes the number of a publication: see c/room.c."""

TEXT = 0x81
BINARY = 0x82
COMPRESSED = 0x40

WORDS = [
    *(
        "alpha",
        "bravo",
        "morning",
        "evening",
        "coffee",
        "deploy",
        "rollback",
        "ticket",
        "review",
        "merge",
        "release",
    ),
    *(
        "weather",
        "lunch",
        "meeting",
        "room",
        "message",
        "channel",
        "history",
        "reader",
        "writer",
        "server",
        "client",
    ),
    *("socket", "buffer", "window", "number", "status", "online", "offline", "away"),
]


@dataclass(frozen=True)
class Message:
    """One message of a client's.

    Attributes:
        payload: what the server's app gets.
        is_text: whether as text.
        compressed: whether it is sent with permessage-deflate.
    """

    payload: bytes
    is_text: bool
    compressed: bool = False

    def frame(self) -> bytes:
        """Build its frame, masked."""
        first = TEXT if self.is_text else BINARY
        payload = self.payload
        if self.compressed:
            first |= COMPRESSED
            payload = deflated(payload)
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", first, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", first, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", first, 0x80 | 127, size)
        return head + MASK + masked(payload)


def request(port: int, *, deflate: bool, path: str = ECHO_PATH) -> bytes:
    """Build the request that opens a connection."""
    lines = [
        b"GET %s HTTP/1.1" % path.encode(),
        b"Host: 127.0.0.1:%d" % port,
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + KEY,
        b"Sec-WebSocket-Version: 13",
        b"Origin: http://127.0.0.1:%d" % port,
    ]
    if deflate:
        lines.append(b"Sec-WebSocket-Extensions: " + DEFLATE_OFFER)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def masked(payload: bytes) -> bytes:
    """Mask a payload (RFC 6455, section 5.3), or unmask it."""
    size = len(payload)
    mask = (MASK * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")


def deflated(payload: bytes) -> bytes:
    """Compress a message by itself (RFC 7692, section 7.2.1), with a window that every agreement allows."""
    compressor = zlib.compressobj(wbits=-9)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def said(size: int, count: int = 1) -> tuple[Message, ...]:
    """Make what a member of a room says: JSON of that many bytes, with a place for the publication's number."""
    chance = random.Random(size)
    messages = []
    for _ in range(count):
        words = " ".join([NUMBER, *chance.choices(WORDS, k=size)])
        text = words[: size - len('{"text":""}')]
        messages.append(Message(json.dumps({"text": text}, separators=(",", ":")).encode(), is_text=True))
    return tuple(messages)


def plain(size: int, *, is_text: bool) -> tuple[Message, ...]:
    """Make a message of that many bytes: ASCII, whichever kind it is."""
    return (Message((b"The quick brown fox jumps over the lazy dog. " * (size // 45 + 1))[:size], is_text),)


def chat(count: int, size: int) -> tuple[Message, ...]:
    """Make messages of a chat, in JSON, of that many bytes: many that are alike, and no two the same."""
    chance = random.Random(size)
    messages = []
    for number in range(count):
        event = {
            "type": "message",
            "room": chance.choice(WORDS),
            "from": {"id": chance.randrange(10**9), "name": chance.choice(WORDS).title()},
            "offset": 1_000_000 + number,
            "time": f"2026-01-{chance.randrange(1, 29):02}T{chance.randrange(24):02}:00:00Z",
            "text": "",
        }
        room = size - len(json.dumps(event))
        event["text"] = " ".join(chance.choices(WORDS, k=size))[:room]
        messages.append(Message(json.dumps(event).encode(), is_text=True, compressed=True))
    return tuple(messages)
