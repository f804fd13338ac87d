"""What the nodes that tests start serve: rooms with a WebSocket for each member, and one to ask the node anything.

/member?room=R[&name=N][&user=U][&since=POSITION][&notices]
/control
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from roomcast import (
    Disconnected,
    Joined,
    Position,
    Publication,
    Retention,
    RoomEvent,
    Rooms,
    RoomsError,
    WebSocket,
    websocket_app,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomcast import Member


def publications(event: RoomEvent) -> str | None:
    """Write publications, each with its position."""
    return written(event) if isinstance(event, Publication) else None


def everything(event: RoomEvent) -> str:
    """Write who comes and goes as well."""
    if isinstance(event, Publication):
        return written(event)
    return json.dumps({"joined" if isinstance(event, Joined) else "left": event.member.info})


def written(publication: Publication) -> str:
    at = None if publication.position is None else str(publication.position)
    return json.dumps({"data": publication.data, "at": at})


# More than comes while any fault lasts: what is missing then was lost. In a soak, which lasts for long, what rooms
# keep would be all that grows.
rooms = Rooms(
    encoder=publications,
    retention={
        "soak-*": Retention(size=100_000, bytes=64 << 20, age=60),
        "*": Retention(size=100_000, bytes=64 << 20, age=3600),
    },
    linger=0.2,
)


@rooms.wrap
@websocket_app
async def application(ws: WebSocket) -> None:
    if ws.path == "/control":
        await control(ws)
    else:
        await stay(ws)


async def stay(ws: WebSocket) -> None:
    """Be in a room until the client goes. Who cannot come in for now, `websocket_app` tells to come again."""
    room, since = ws.query["room"], ws.query.get("since")

    async def greet(member: Member) -> str:
        at = str(await rooms.position(room))
        return json.dumps({"id": member.id, "pid": os.getpid(), "at": at, "recovered": member.recovered})

    try:
        async with rooms.join(
            room,
            ws,
            info=ws.query.get("name"),
            user=ws.query.get("user"),
            encoder=everything if "notices" in ws.query else publications,
            since=None if since is None else Position.parse(since),
            greet=greet,
        ) as member:
            async for _ in member:
                pass
    except Disconnected:
        return


async def control(ws: WebSocket) -> None:
    """Answer each question by itself: one that waits for the broker holds up no other."""
    await ws.accept()
    async with asyncio.TaskGroup() as answers:
        async for question in ws:
            answers.create_task(answer(ws, json.loads(question)))


async def answer(ws: WebSocket, question: dict[str, Any]) -> None:
    try:
        said = {"result": await CALLS[question["call"]](**question["with"])}
    except RoomsError as error:
        said = {"error": type(error).__name__, "text": str(error)}
    with suppress(Disconnected):
        await ws.send_json({"id": question["id"], **said})


async def publish(room: str, data: str, key: str | None = None, keep: bool = True) -> str:
    return str(await rooms.publish(room, data, key=key, keep=keep))


async def history(room: str) -> list[str | bytes]:
    return [publication.data for publication in await rooms.history(room)]


async def position(room: str) -> str:
    return str(await rooms.position(room))


async def members(room: str) -> list[Any]:
    return [member.info for member in await rooms.members(room)]


async def node() -> dict[str, int]:
    return {"pid": os.getpid()}


async def nodes() -> list[int]:
    return [node.pid for node in await rooms.nodes()]


CALLS: dict[str, Callable[..., Awaitable[Any]]] = {
    "active": rooms.active,
    "close": rooms.close,
    "count": rooms.count,
    "disconnect": rooms.disconnect,
    "history": history,
    "members": members,
    "node": node,
    "nodes": nodes,
    "position": position,
    "publish": publish,
    "send_to": rooms.send_to,
}
