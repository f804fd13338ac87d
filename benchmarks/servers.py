"""The servers that are compared, and how each is started.

Each is one process, without an access log, and with room for messages of 16 MiB. Most serve an echo and rooms, by
one program or by two; where a workload needs what a server does not have, that server takes no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class App(Enum):
    """What a server is asked to do."""

    ECHO = "echo"
    """Send each message back, on any path."""
    ROOMS = "rooms"
    """Send each message to all members of the room, at /ws/chat?room=NAME; an echo at /ws/echo."""
    CROWD = "crowd"
    """The same, telling nobody who comes and goes: it is for so many that there is no time to."""


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
        commands: what starts it, by what it then does: its arguments, with the placeholders `{python}`, `{bun}`,
            `{floor}`, `{apps}`, `{port}`, and `{data}`, an empty directory of its own.
        home: where it is installed.
        needs: what pip installs for it; the first is what it is named after in a list of versions.
    """

    name: str
    title: str
    kind: Kind
    commands: dict[App, tuple[str, ...]]
    home: Home = Home.PEERS
    needs: tuple[str, ...] = ()


def _both(*command: str) -> dict[App, tuple[str, ...]]:
    return dict.fromkeys(App, command)


def _asgi(start: Callable[[str], tuple[str, ...]]) -> dict[App, tuple[str, ...]]:
    """Have an ASGI server run `apps/echo.py` or `apps/room.py`."""
    return {App.ECHO: start("echo"), App.ROOMS: start("room"), App.CROWD: start("room")}


def _uvicorn(websockets: str, app: str, *more: str) -> tuple[str, ...]:
    return (
        *("{python}", "-m", "uvicorn", app, "--app-dir", "{apps}", "--port", "{port}"),
        *("--ws", websockets, "--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning", *more),
    )


def _stock_uvicorn(websockets: str) -> dict[App, tuple[str, ...]]:
    return _asgi(lambda module: _uvicorn(websockets, f"{module}:application", "--lifespan", "off"))


def _granian(module: str) -> tuple[str, ...]:
    return (
        *("{python}", "-m", "granian", f"{module}:application", "--working-dir", "{apps}", "--port", "{port}"),
        *("--interface", "asginl", "--loop", "uvloop", "--workers", "1", "--ws", "--no-access-log"),
        # It serves no more connections at once than this.
        *("--backpressure", "65536", "--log-level", "warning"),
    )


def _hypercorn(module: str) -> tuple[str, ...]:
    return (
        *("{python}", "-m", "hypercorn", f"{{apps}}/{module}.py:application", "--bind", "127.0.0.1:{port}"),
        *("--worker-class", "uvloop", "--workers", "1", "--backlog", "2048", "--log-level", "warning"),
    )


def _daphne(module: str) -> tuple[str, ...]:
    return (
        *("{python}", "-m", "daphne", f"{module}:application", "--bind", "127.0.0.1", "--port", "{port}"),
        *("--verbosity", "0", "--websocket_timeout", "-1"),
        *("--websocket-max-message-size", "16777216", "--websocket-max-frame-size", "16777216"),
    )


def _serve(*what: str) -> tuple[str, ...]:
    return (
        *("{python}", "-m", "roomcast", "serve", *what, "--port", "{port}"),
        *("--log-level", "warning", "--no-limits"),  # all come from one address
    )


def _chat(broker: str) -> tuple[str, ...]:
    return _serve("--broker", broker)


_UVICORN = ("uvicorn", "uvloop", "httptools")
_OURS = {
    App.ECHO: _serve("echo:application"),
    App.ROOMS: _chat("memory://"),
    App.CROWD: _serve("quiet:application"),
}

SERVERS = (
    Server("roomcast", "Roomcast", Kind.OURS, _OURS, needs=("roomcast",)),
    Server("roomcast-pure", "Roomcast, interpreted", Kind.OURS, _OURS, Home.PURE, needs=("roomcast",)),
    Server(
        "roomcast-sqlite",
        "Roomcast, on SQLite",
        Kind.OURS,
        {App.ROOMS: _chat("sqlite:///{data}/chat.db")},
        needs=("roomcast",),
    ),
    Server(
        "roomcast-foreign",
        "Roomcast on uvicorn",
        Kind.OURS,
        {App.ROOMS: _uvicorn("websockets-sansio", "roomcast.chat:create_app", "--factory")},
        needs=("roomcast", *_UVICORN, "websockets"),
    ),
    Server(
        "uvicorn-sansio",
        "uvicorn, websockets",
        Kind.ASGI,
        _stock_uvicorn("websockets-sansio"),
        needs=(*_UVICORN, "websockets"),
    ),
    Server(
        "uvicorn-wsproto", "uvicorn, wsproto", Kind.ASGI, _stock_uvicorn("wsproto"), needs=(*_UVICORN, "wsproto")
    ),
    Server("granian", "Granian", Kind.ASGI, _asgi(_granian), needs=("granian", "uvloop")),
    Server("hypercorn", "Hypercorn", Kind.ASGI, _asgi(_hypercorn), needs=("hypercorn", "uvloop")),
    Server("daphne", "Daphne", Kind.ASGI, _asgi(_daphne), needs=("daphne",)),
    Server(
        "picows",
        "picows",
        Kind.OTHER,
        _both("{python}", "{apps}/picows_app.py", "{port}"),
        needs=("picows", "uvloop"),
    ),
    Server(
        "socketify",
        "socketify (uWebSockets)",
        Kind.OTHER,
        _both("{python}", "{apps}/socketify_app.py", "{port}"),
        needs=("socketify",),
    ),
    Server("bun", "Bun", Kind.OTHER, _both("{bun}", "{apps}/bun_app.js", "{port}"), Home.BUN),
    Server("floor", "C: epoll, parse, send", Kind.FLOOR, _both("{floor}", "{port}"), Home.FLOOR),
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
