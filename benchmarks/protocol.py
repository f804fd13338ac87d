"""What the protocol costs, in microseconds a call: the best of five runs.

    python benchmarks/protocol.py

Says first whether it ran compiled or interpreted.
"""

from __future__ import annotations

import sys
import timeit
from typing import TYPE_CHECKING

from roomcast.protocol import compiled
from roomcast.protocol.connection import Connection
from roomcast.protocol.deflate import DeflateParameters
from roomcast.protocol.frames import client_frame
from roomcast.protocol.prepared import PreparedMessage
from roomcast.protocol.sending import Role

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = "one of the many similar messages of a room, as its members write them; " * 4


def report(name: str, call: Callable[[], object]) -> None:
    """Measure a call and print it."""
    timer = timeit.Timer(call)
    number = max(1, timer.autorange()[0] // 2)
    print(f"  {name:42}{min(timer.repeat(5, number)) / number * 1e6:10.3f}")


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut a stream."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def receive_all(connection: Connection, parts: list[bytes]) -> None:
    """Read a stream that was cut."""
    for part in parts:
        connection.receive_data(part)


def main() -> None:
    """Measure everything."""
    print(f"Python {sys.version.split()[0]}, {'compiled' if compiled() else 'interpreted'}")
    server = Connection(Role.SERVER)
    for size in (8, 64, 125, 1000, 65536, 1 << 20):
        frame = client_frame(0x81, b"x" * size)
        report(f"receive a text of {size} bytes", lambda frame=frame: server.receive_data(frame))
    batch = client_frame(0x81, b"x" * 64) * 32
    report("receive 32 texts of 64 bytes at once", lambda: server.receive_data(batch))
    large = client_frame(0x81, b"x" * (1 << 20))
    report("receive a text of 1 MiB, 16 KiB at a time", lambda: receive_all(server, pieces(large, 16384)))
    dribble = pieces(client_frame(0x81, b"x" * 4096), 1)
    report("receive a text of 4 KiB byte by byte", lambda: receive_all(server, dribble))
    ping = client_frame(0x89, b"")
    report("receive a ping, and answer", lambda: (server.receive_data(ping), server.data_to_send()))
    for size in (8, 64, 1000, 65536):
        text = "x" * size
        report(f"send a text of {size} bytes", lambda text=text: server.send_text(text))
    prepared = PreparedMessage("x" * 64)
    report("send a prepared message", lambda: server.send_prepared(prepared))
    report("prepare a message", lambda: PreparedMessage("x" * 64).frame)
    deflate = DeflateParameters()
    deflating = Connection(Role.SERVER, deflate=deflate)
    frame = Connection(Role.CLIENT, deflate=deflate).send_text(WORDS)
    report(f"receive {len(WORDS)} bytes deflated", lambda: deflating.receive_data(frame))
    report(f"send {len(WORDS)} bytes deflated", lambda: deflating.send_text(WORDS))
    report("make a connection", lambda: Connection(Role.SERVER))


if __name__ == "__main__":
    main()
