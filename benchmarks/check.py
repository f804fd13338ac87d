"""Checking that a server does what it is measured for, before it is: a fast wrong answer is none."""

from __future__ import annotations

import socket
import zlib
from typing import TYPE_CHECKING, BinaryIO

from benchmarks.frames import ACCEPT, COMPRESSED, Message
from benchmarks.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT = 5.0
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
