"""Spread: members of rooms whose nodes are many, and publications among them at a steady rate.

`benchmarks/c/load.c` drives one server as fast as that goes. This one drives several at a rate, since what it is
for is what each of them has to do, and how long that takes.
"""

from __future__ import annotations

import random
import selectors
import socket
import time
from dataclasses import dataclass, field

from benchmarks.frames import ACCEPT, KEY
from benchmarks.processes import Failed

PAYLOAD = 64
"""Bytes of a publication."""
FRAME = 2 + PAYLOAD
"""Bytes of what a member gets for it."""
PING = 0x89
PONG = bytes((0x8A, 0x80, 0, 0, 0, 0))
STAMP = 20
"""Digits of the time at which it was sent, in nanoseconds, with which it begins."""
PATIENCE = 10.0
"""Seconds without any delivery after which what is missing will not come."""
AT_ONCE = 64
"""How many connections are opened at once: fewer than wait to be accepted."""


@dataclass
class Found:
    """What came of a run.

    Attributes:
        publications: how many were published.
        deliveries: how many came to members.
        seconds: how long publishing took.
        latencies: of each delivery, from before it was published until it was read, in seconds; sorted.
        cpu_seconds: what this load itself took.
    """

    publications: int = 0
    deliveries: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0

    def latency(self, share: float) -> float:
        """Give the latency that so large a share of the deliveries did not exceed, in seconds."""
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


class Spread:
    """Members, the same number in each room, on the nodes in turn.

    Args:
        ports: where the nodes are.
        rooms: how many rooms.
        members: how many members each has.
        first: the number of the first room.
    """

    def __init__(self, ports: list[int], rooms: int, members: int, *, first: int = 0) -> None:
        self._selector = selectors.DefaultSelector()
        self._rooms: list[list[socket.socket]] = []
        self._members = members
        places = [
            (first + room, ports[(room + number) % len(ports)])
            for room in range(rooms)
            for number in range(members)
        ]
        sockets = [
            opened for start in range(0, len(places), AT_ONCE) for opened in _open(places[start : start + AT_ONCE])
        ]
        for room in range(rooms):
            self._rooms.append(sockets[room * members : (room + 1) * members])
        for opened in sockets:
            self._selector.register(opened, selectors.EVENT_READ, bytearray())

    def close(self) -> None:
        """Close all connections."""
        for key in tuple(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]  # a socket: `register` was given no number

    def rest(self, seconds: float) -> None:
        """Do nothing for some time but answer pings."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left, Found())

    def publish(self, rate: float, seconds: float) -> Found:
        """Publish at random times, `rate` a second in all, in each room and by each of its members in turn.

        Raises:
            Failed: something did not come to all members, or a node ended a connection.
        """
        found = Found()
        chance = random.Random(int(rate))
        before = time.process_time()
        start = due = time.perf_counter()
        end = start + seconds
        while (now := time.perf_counter()) < end:
            while due <= now and due < end:
                room = self._rooms[found.publications % len(self._rooms)]
                _say(room[found.publications // len(self._rooms) % self._members])
                found.publications += 1
                due += chance.expovariate(rate)
            self._read(max(0.0, min(due, end) - time.perf_counter()), found)
        found.seconds = time.perf_counter() - start
        last, seen = time.perf_counter(), found.deliveries
        while found.deliveries < found.publications * self._members:
            self._read(0.1, found)
            if found.deliveries > seen:
                last, seen = time.perf_counter(), found.deliveries
            elif time.perf_counter() - last > PATIENCE:
                raise Failed(f"{found.publications * self._members - seen} deliveries did not come")
        found.cpu_seconds = time.process_time() - before
        found.latencies.sort()
        return found

    def _read(self, patience: float, found: Found) -> None:
        for key, _ in self._selector.select(patience):
            data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
            if not data:
                raise Failed("a node ended a connection")
            now = time.perf_counter_ns()
            read: bytearray = key.data
            read += data
            while len(read) >= 2:
                if read[0] == PING:
                    key.fileobj.sendall(PONG)  # type: ignore[union-attr]
                    del read[: 2 + read[1]]
                elif len(read) >= FRAME:
                    found.latencies.append((now - int(read[2 : 2 + STAMP])) / 1e9)
                    found.deliveries += 1
                    del read[:FRAME]
                else:
                    break


def _open(places: list[tuple[int, int]]) -> list[socket.socket]:
    """Open a connection into each room at each port."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _, port in places]
    for (room, port), opened in zip(places, sockets, strict=True):
        opened.sendall(
            b"GET /ws/chat?room=%05d HTTP/1.1\r\nHost: localhost:%d\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n" % (room, port, KEY)
        )
    for opened in sockets:
        head = b""
        while b"\r\n\r\n" not in head:
            data = opened.recv(4096)
            if not data:
                raise Failed(f"a node refused a connection: {head[:200]!r}")
            head += data
        if ACCEPT not in head or not head.endswith(b"\r\n\r\n"):
            raise Failed(f"a node did not answer the handshake as it should: {head[:200]!r}")
    return sockets


def _say(publisher: socket.socket) -> None:
    """Publish the time: masked with zeros, which RFC 6455 allows, and which leaves it as it is."""
    text = b"%0*d" % (STAMP, time.perf_counter_ns())
    publisher.sendall(bytes((0x81, 0x80 | PAYLOAD, 0, 0, 0, 0)) + text.ljust(PAYLOAD, b"."))
