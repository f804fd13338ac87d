"""The servers that are compared, and how each is started.

Each is one process, without an access log, and with room for messages of 16 MiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a server is to the comparison."""

    OURS = "ours"
    ASGI = "runs the same ASGI app"
    OTHER = "speaks no ASGI"
    FLOOR = "does the least there is to do"


class Home(Enum):
    """Where a server is installed."""

    PEERS = "bench"
    """The environment of the peers, and of Roomcast compiled."""
    PURE = "bench-pure"
    """The environment of Roomcast interpreted."""
    BUN = "bun"
    FLOOR = "floor"


@dataclass(frozen=True)
class Server:
    """One server.

    Attributes:
        name: what the command line and the results call it.
        title: what the table and the picture call it.
        kind: what it is to the comparison.
        command: its arguments, with the placeholders `{python}`, `{bun}`, `{floor}`, `{apps}` and `{port}`.
        home: where it is installed.
        needs: what pip installs for it; the first is what it is named after in a list of versions.
    """

    name: str
    title: str
    kind: Kind
    command: tuple[str, ...]
    home: Home = Home.PEERS
    needs: tuple[str, ...] = ()


def _uvicorn(websockets: str) -> tuple[str, ...]:
    return (
        *("{python}", "-m", "uvicorn", "echo:application", "--app-dir", "{apps}", "--port", "{port}"),
        *("--ws", websockets, "--loop", "uvloop", "--http", "httptools"),
        *("--lifespan", "off", "--no-access-log", "--log-level", "warning"),
    )


_UVICORN = ("uvicorn", "uvloop", "httptools")
_OURS = _uvicorn("roomcast.server.uvicorn:WebSocketProtocol")

SERVERS = (
    Server("roomcast", "Roomcast", Kind.OURS, _OURS, needs=("roomcast",)),
    Server("roomcast-pure", "Roomcast, interpreted", Kind.OURS, _OURS, Home.PURE, needs=("roomcast",)),
    Server(
        "uvicorn-sansio",
        "uvicorn, websockets",
        Kind.ASGI,
        _uvicorn("websockets-sansio"),
        needs=(*_UVICORN, "websockets"),
    ),
    Server("uvicorn-wsproto", "uvicorn, wsproto", Kind.ASGI, _uvicorn("wsproto"), needs=(*_UVICORN, "wsproto")),
    Server(
        "granian",
        "Granian",
        Kind.ASGI,
        (
            *("{python}", "-m", "granian", "echo:application", "--working-dir", "{apps}", "--port", "{port}"),
            *("--interface", "asginl", "--loop", "uvloop", "--workers", "1", "--ws", "--no-access-log"),
            # It serves no more connections at once than this.
            *("--backpressure", "65536", "--log-level", "warning"),
        ),
        needs=("granian", "uvloop"),
    ),
    Server(
        "hypercorn",
        "Hypercorn",
        Kind.ASGI,
        (
            *("{python}", "-m", "hypercorn", "{apps}/echo.py:application", "--bind", "127.0.0.1:{port}"),
            *("--worker-class", "uvloop", "--workers", "1", "--backlog", "2048", "--log-level", "warning"),
        ),
        needs=("hypercorn", "uvloop"),
    ),
    Server(
        "daphne",
        "Daphne",
        Kind.ASGI,
        (
            *("{python}", "-m", "daphne", "echo:application", "--bind", "127.0.0.1", "--port", "{port}"),
            *("--verbosity", "0", "--websocket_timeout", "-1"),
            *("--websocket-max-message-size", "16777216", "--websocket-max-frame-size", "16777216"),
        ),
        needs=("daphne",),
    ),
    Server(
        "picows",
        "picows",
        Kind.OTHER,
        ("{python}", "{apps}/picows_echo.py", "{port}"),
        needs=("picows", "uvloop"),
    ),
    Server(
        "socketify",
        "socketify (uWebSockets)",
        Kind.OTHER,
        ("{python}", "{apps}/socketify_echo.py", "{port}"),
        needs=("socketify",),
    ),
    Server("bun", "Bun", Kind.OTHER, ("{bun}", "{apps}/bun_echo.js", "{port}"), Home.BUN),
    Server("floor", "C: epoll, parse, send", Kind.FLOOR, ("{floor}", "{port}"), Home.FLOOR),
)

OURS = SERVERS[0]
"""What the others are held against."""


def by_name(names: list[str]) -> tuple[Server, ...]:
    """Give the servers of these names, ours first, in the table's order.

    Raises:
        KeyError: for a name that is none's.
    """
    known = {server.name: server for server in SERVERS}
    chosen = {known[name].name for name in names} | {OURS.name}
    return tuple(server for server in SERVERS if server.name in chosen)
