"""A crowd: a program that opens many WebSockets to a server, and reads what they get.

It prints "open" once all are, and "heard" once each has got the messages "0", "1" and so on, in order and nothing
else. Run it with the port, how many WebSockets and how many messages there are to be. It ends when it is ended.
"""

from __future__ import annotations

import selectors
import signal
import socket
import sys

REQUEST = (
    b"GET /crowd HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
AT_ONCE = 100
"""How many are opened at once: fewer than wait to be accepted."""


def opened(port: int, count: int) -> list[tuple[socket.socket, bytearray]]:
    """Open WebSockets, and give each with what it has read."""
    crowd = []
    for start in range(0, count, AT_ONCE):
        batch = [socket.create_connection(("127.0.0.1", port)) for _ in range(start, min(start + AT_ONCE, count))]
        for sock in batch:
            sock.sendall(REQUEST)
        for sock in batch:
            read = bytearray()
            while b"\r\n\r\n" not in read:
                read += sock.recv(4096)
            assert read.startswith(b"HTTP/1.1 101"), read
            crowd.append((sock, read[read.index(b"\r\n\r\n") + 4 :]))
    return crowd


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(port: int, count: int, messages: int) -> None:
    expected = b"".join(bytes((0x81, len(str(number)))) + str(number).encode() for number in range(messages))
    selector = selectors.DefaultSelector()
    waiting = 0
    for sock, read in opened(port, count):
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ, read)
        waiting += 1
    say("open")
    while waiting:
        for key, _ in selector.select():
            data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
            assert data, "the server ended a connection"
            key.data.extend(data)
            assert expected.startswith(key.data), key.data
            waiting -= key.data == expected
    say("heard")
    signal.pause()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
