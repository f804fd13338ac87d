"""Who gets in, under FastAPI: a login of the app's own, with a cookie, says who joins which room.

```sh
roomcast serve examples.fastapi_login:app
curl -i --json '{"user": "ada", "password": "lovelace"}' http://localhost:8000/login
python -m websockets ws://localhost:8000/rooms/team-1
```

The last command brings no cookie, and is refused with status 401. A browser brings the cookie along by itself,
whosever page it shows: so only the app's own pages may connect. What one client may send in a second is bounded.
"""

import time
from collections.abc import Collection
from secrets import compare_digest, token_urlsafe
from typing import Annotated

from fastapi import Body, FastAPI, HTTPException, Response, WebSocket
from starlette.requests import HTTPConnection

from roomcast import Guard, Limits, Origins, Rooms
from roomcast.auth import EVERYTHING, Auth, Identity
from roomcast.errors import Refused

PASSWORDS = {"ada": "lovelace", "bob": "builder"}  # yours are hashed, and in a database, as your sessions are
ROOMS: dict[str, dict[str, Collection[str]]] = {"ada": {"*": EVERYTHING}, "bob": {"team-*": ["join"]}}
SESSION_SECONDS = 3600
sessions: dict[str, Identity] = {}


def who(request: HTTPConnection) -> Identity | None:
    """Know a user by the cookie of the login; where its session is over, nobody is let in."""
    return sessions.get(request.cookies.get("session", ""))


auth, rooms = Auth(who), Rooms()
app = FastAPI(lifespan=rooms.lifespan)
# Of the pages in browsers, the app's own may connect; Origins("https://app.example.org") would let in others, too.
app.add_middleware(Guard, origins=Origins(), limits=Limits(messages_per_second=20))


@app.exception_handler(Refused)
async def turned_away(ws: WebSocket, refusal: Refused) -> None:
    """Go on: whom `admit` turns away was told why, and that is no error for the log."""


@app.post("/login")
async def login(user: Annotated[str, Body()], password: Annotated[str, Body()], response: Response) -> None:
    """Begin a session, for a user with the right password."""
    if user not in PASSWORDS or not compare_digest(PASSWORDS[user].encode(), password.encode()):
        raise HTTPException(401, "wrong user or password")
    session = token_urlsafe()
    sessions[session] = Identity(user, rooms=ROOMS[user], expires=time.time() + SESSION_SECONDS)
    response.set_cookie("session", session, max_age=SESSION_SECONDS, httponly=True, samesite="strict")


@app.websocket("/rooms/{room}")
async def join(ws: WebSocket, room: str) -> None:
    """Have a user in a room, until the session ends, and tell the others what it says, where it may."""
    async with auth.admit(ws, room) as caller, rooms.join(room, ws, user=caller.user) as member:
        async for message in member:
            if await caller.may("publish", room):
                await rooms.publish(room, message, exclude=member)
            else:
                member.send("you may only listen here")
