"""Rooms under FastAPI: a WebSocket joins a room, and a plain HTTP request publishes to it.

```sh
roomcast serve examples.fastapi_rooms:app
python -m websockets ws://localhost:8000/rooms/news
curl --json '{"headline": "It works"}' http://localhost:8000/rooms/news
```
"""

from typing import Annotated

from fastapi import FastAPI, Path, WebSocket

from roomcast import Rooms

rooms = Rooms()
app = FastAPI(lifespan=rooms.lifespan)

Room = Annotated[str, Path(max_length=255, pattern=r"^\P{Cc}*$")]  # a room's name has no control characters


@app.websocket("/rooms/{room}")
async def join(ws: WebSocket, room: Room) -> None:
    """Have one client in a room, and tell the others what it says."""
    async with rooms.join(room, ws) as member:
        async for message in member:
            await rooms.publish(room, message, exclude=member)


@app.post("/rooms/{room}")
async def publish(room: Room, message: dict[str, object]) -> dict[str, int]:
    """Tell all in a room, and say which of the room's messages it was."""
    position = await rooms.publish(room, message)
    return {"offset": position.offset}
