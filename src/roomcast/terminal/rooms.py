"""Rooms and their history, as a broker knows them, and as they are shown."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from roomcast.errors import BrokerUnavailable, Unreachable
from roomcast.rooms import Publication, Rooms
from roomcast.rooms.brokers.sqlite.onlooker import Onlooker
from roomcast.rooms.brokers.sqlite.url import Location
from roomcast.rooms.events import from_envelope
from roomcast.terminal import chat
from roomcast.terminal.text import as_json, dump, laid_out, printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from roomcast.rooms import Position

TIMEOUT = 10.0
"""How many seconds a broker has."""

T = TypeVar("T")


class Room(NamedTuple):
    """A room.

    Attributes:
        name: its name.
        members: how many are in it, on all nodes; None where only its server knows that.
        kept: how many publications are kept of it, None where that is not known.
        used: when something was last published in it, None where that is not known.
    """

    name: str
    members: int | None = None
    kept: int | None = None
    used: float | None = None


def is_file(url: str) -> bool:
    """Whether a broker is a file, which can be read beside the server that has it."""
    return url.startswith("sqlite:")


def rooms_of(url: str) -> list[Room]:
    """Give the rooms that a broker knows: those with members, or those in a file.

    Raises:
        Unreachable: the broker is not there.
        ConfigurationError: it cannot be one.
    """
    if is_file(url):
        with reaching(), Onlooker(Location.parse(url)) as onlooker:
            return [Room(room.name, kept=room.kept, used=room.used) for room in onlooker.rooms()]
    active = _ask(url, lambda rooms: rooms.active())
    return [Room(name, members) for name, members in sorted(active.items(), key=lambda room: (-room[1], room[0]))]


def history_of(url: str, room: str, *, since: Position | None, limit: int) -> list[Publication]:
    """Give the newest publications of a room that are kept, the oldest first; or the first after a position.

    Raises:
        Unreachable: the broker is not there.
        ConfigurationError: it cannot be one.
        InvalidRoomName: if the room's name is none.
    """
    newest = since is None
    if is_file(url):
        with reaching(), Onlooker(Location.parse(url)) as onlooker:
            kept = onlooker.history(room, since=since, limit=limit, reverse=newest).kept
        events = (from_envelope(room, position, payload) for position, payload in kept)
        found = [event for event in events if isinstance(event, Publication)]
    else:
        found = _ask(url, lambda rooms: rooms.history(room, since=since, limit=limit, reverse=newest))
    return found[::-1] if newest else found


def show_rooms(rooms: Iterable[Room], *, json_lines: bool) -> None:
    """Print rooms: as lines of JSON, or as a table."""
    if json_lines:
        for room in rooms:
            click.echo(as_json(room=room.name, members=room.members, kept=room.kept, last_published=room.used))
        return
    rooms = list(rooms)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("room", overflow="fold")
    if any(room.members is not None for room in rooms):
        table.add_column("members", justify="right")
        for room in rooms:
            table.add_row(printable(room.name), f"{room.members:,}")
    else:
        table.add_column("kept", justify="right")
        table.add_column("last published")
        for room in rooms:
            used = "" if room.used is None else _date(room.used)
            table.add_row(printable(room.name), f"{room.kept:,}", used)
    Console(highlight=False).print(table if rooms else "no rooms")


def show_history(publications: Iterable[Publication], *, json_lines: bool) -> None:
    """Print publications: as lines of JSON, or as people read them."""
    console = Console(highlight=False, soft_wrap=True)
    for publication in publications:
        data, position = publication.data, publication.position
        if json_lines:
            text = data if isinstance(data, str) else None
            binary = None if isinstance(data, str) else b64encode(data).decode()
            place = None if position is None else str(position)
            line = as_json(room=publication.room, position=place, time=publication.time, text=text, base64=binary)
            click.echo(line)
        else:
            offset = "" if position is None else str(position.offset)
            head = Text(f"{_date(publication.time)} {offset:>6} ", "dim")
            console.print(head.append_text(_shown(data)))


def _shown(data: str | bytes) -> Text:
    if isinstance(data, bytes):
        return dump(data)
    said = chat.read(data)
    return (None if said is None else chat.line(said)) or laid_out(data)


def _ask(url: str, question: Callable[[Rooms], Awaitable[T]]) -> T:
    """Open rooms on the broker for one question."""

    async def ask() -> T:
        async with asyncio.timeout(TIMEOUT), Rooms(url) as rooms:
            return await question(rooms)

    with reaching():
        return asyncio.run(ask())


@contextmanager
def reaching() -> Iterator[None]:
    """Turn what a broker that is not available raises into the error of what is not there.

    Raises:
        Unreachable: the broker is not available, or did not answer in time.
    """
    try:
        yield
    except BrokerUnavailable as error:
        raise Unreachable(str(error)) from None
    except TimeoutError:
        raise Unreachable(f"the broker gave no answer within {TIMEOUT:g} s") from None


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
