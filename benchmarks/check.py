"""Checking that a server does what it is measured for, before it is: a fast wrong answer is none."""

from __future__ import annotations

import json
import socket
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from benchmarks.frames import ACCEPT, COMPRESSED, ROOM_PATH, Message
from benchmarks.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT = 5.0
OFFER = "permessage-deflate"
FIN = 0x80
CONTROL = 0x08


def check_echo(port: int, request: bytes, messages: Iterable[Message]) -> str:
    """Open a connection, and see that each message comes back as it went.

    Returns:
        What the server answered to the offer of compression; nothing where it did not.

    Raises:
        Failed: what was wrong.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
            connection.sendall(request)
            stream = connection.makefile("rb")
            agreement = _read_response(stream)
            inflater = zlib.decompressobj(wbits=-15)
            for message in messages:
                if message.compressed and "permessage-deflate" not in agreement:
                    raise Failed("speaks no permessage-deflate")
                connection.sendall(message.frame())
                if _read_message(stream, inflater) != message.payload:
                    raise Failed(f"did not echo {len(message.payload)} bytes as they were")
            return agreement
    except OSError as error:
        raise Failed(f"did not answer: {error}") from None


def check_room(port: int, request: bytes, messages: Iterable[Message]) -> str:
    """Open two connections in a room, and see that what one says comes to both, each once and in order.

    A server may wrap the text in JSON of its own, and may say other things too.

    Returns:
        What the server answered to the offer of compression; nothing where it did not.

    Raises:
        Failed: what was wrong.
    """
    room = ROOM_PATH.replace("00000", "99999")  # one that the load has no members in
    request = request.replace(ROOM_PATH.encode(), room.encode())
    try:
        with ExitStack() as stack:
            members = []
            for _ in range(2):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), TIMEOUT))
                connection.sendall(request)
                stream = connection.makefile("rb")
                agreement = _read_response(stream)
                if OFFER.encode() in request and OFFER not in agreement:
                    raise Failed(f"speaks no {OFFER}")
                members.append((connection, stream, zlib.decompressobj(wbits=-15)))
            for message in messages:
                members[0][0].sendall(message.frame())
                wanted = json.loads(message.payload)["text"]
                for _, stream, inflater in members:
                    if _read_text(stream, inflater) != wanted:
                        raise Failed(f"did not give {len(wanted)} characters to a member as they were")
            return agreement
    except OSError as error:
        raise Failed(f"did not answer: {error}") from None


def _read_text(stream: BinaryIO, inflater: zlib._Decompress) -> str:
    """Give what a member says, in the next message that says anything."""
    while True:
        payload = _read_message(stream, inflater)
        try:
            message = json.loads(payload)
        except ValueError:
            raise Failed(f"gave a member something that is no JSON: {payload[:40]!r}") from None
        if "text" in message:
            return str(message["text"])


def _read_response(stream: BinaryIO) -> str:
    status = stream.readline().strip().decode("latin-1")
    if status.split(" ")[:2] != ["HTTP/1.1", "101"]:
        raise Failed(f"refused the handshake: {status or 'no response'}")
    headers = {}
    for line in iter(lambda: stream.readline().strip(), b""):
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    if headers.get(b"sec-websocket-accept") != ACCEPT:
        raise Failed("answered the handshake with a wrong Sec-WebSocket-Accept")
    return headers.get(b"sec-websocket-extensions", b"").decode("latin-1")


def _read_message(stream: BinaryIO, inflater: zlib._Decompress) -> bytes:
    payload = b""
    compressed = False
    while True:
        head = _read(stream, 2)
        size = head[1]
        if size >= 126:
            size = int.from_bytes(_read(stream, 2 if size == 126 else 8), "big")
        part = _read(stream, size)
        if head[0] & CONTROL:
            continue
        compressed = compressed or bool(head[0] & COMPRESSED)
        payload += part
        if head[0] & FIN:
            return inflater.decompress(payload + b"\x00\x00\xff\xff") if compressed else payload


def _read(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise Failed("closed the connection instead of an answer")
    return data
