"""Auth: who is let in, who is turned away and how, on our server and on others, in each framework."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi import WebSocket as FastAPIWebSocket
from quart import Quart
from quart import websocket as quart_websocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import connect as connect_to
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from roomcast import Rooms, WebSocket, websocket_app
from roomcast.auth import Auth, Caller, Identity, SecretKey, TokenAuthenticator
from roomcast.counts import Reason, counts
from roomcast.errors import AccessDenied, ConfigurationError, Disconnected, Forbidden, Refused, Unauthenticated
from roomcast.testing import LiveServer, connect
from tests.auth.signing import EVERYWHERE, SECRET, token

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp
    from starlette.websockets import WebSocket as StarletteWebSocket

OURS = "roomcast.server.uvicorn:WebSocketProtocol"
AUTH = Auth(TokenAuthenticator(SecretKey(SECRET)))


@websocket_app
async def plain(ws: WebSocket) -> None:
    async with AUTH.admit(ws, ws.query.get("room")) as caller:
        await ws.accept(next(iter(ws.subprotocols), None))
        await converse(ws, caller)


async def converse(ws: Any, caller: Caller) -> None:
    """Answer each message with the user and what was said; take a fresh token for a JSON object."""
    receive = ws.receive if isinstance(ws, WebSocket) else ws.receive_text
    while True:
        try:
            text = str(await receive())
        except Exception as error:
            if isinstance(error, Disconnected) or type(error).__name__ == "WebSocketDisconnect":
                return
            raise
        answer = f"{caller.user}: {text}"
        if text.startswith("{"):
            try:
                identity = await caller.refresh(json.loads(text)["token"])
                answer = f"until {identity.expires}"
            except AccessDenied as denial:
                answer = f"{denial.code} {denial}"
        await (ws.send(answer) if isinstance(ws, WebSocket) else ws.send_text(answer))


async def starlette_endpoint(ws: StarletteWebSocket) -> None:
    async with AUTH.admit(ws, ws.query_params.get("room")) as caller:
        await ws.accept(next(iter(ws.scope["subprotocols"]), None))
        await converse(ws, caller)


async def user_of(request: Request) -> str:
    try:
        return (await AUTH.identify(request)).user
    except AccessDenied as denial:
        raise HTTPException(denial.status, str(denial)) from None


def fastapi() -> FastAPI:
    app = FastAPI()

    @app.websocket("/{path:path}")
    async def endpoint(ws: FastAPIWebSocket, room: str | None = None) -> None:
        async with AUTH.admit(ws, room) as caller:
            await ws.accept(next(iter(ws.scope["subprotocols"]), None))
            await converse(ws, caller)

    @app.get("/me")
    async def me(user: Annotated[str, Depends(user_of)]) -> str:
        return user

    return app


APPS: dict[str, ASGIApp] = {
    "asgi": plain,
    "starlette": Starlette(routes=[WebSocketRoute("/{path:path}", starlette_endpoint)]),
    "fastapi": fastapi(),
}
FRAMEWORKS = pytest.mark.parametrize("app", APPS.values(), ids=APPS)


async def say(app: ASGIApp, path: str, **options: Any) -> str:
    async with connect(app, path, **options) as client:
        await client.send("hi")
        return str(await client.receive())


@FRAMEWORKS
async def test_who_has_a_token_is_let_in_wherever_it_is(app: ASGIApp) -> None:
    good = token("ada")
    assert await say(app, f"/?token={good}") == "ada: hi"
    assert await say(app, "/", headers=[("authorization", f"Bearer {good}")]) == "ada: hi"
    assert await say(app, "/", headers=[("cookie", f"roomcast_token={good}")]) == "ada: hi"


@FRAMEWORKS
async def test_what_brings_a_token_is_never_accepted_as_a_subprotocol(app: ASGIApp) -> None:
    offered = [f"roomcast.token.{token()}", "chat.v1"]
    header = ("sec-websocket-protocol", ", ".join(offered))
    async with connect(app, "/", headers=[header], subprotocols=offered) as client:
        assert client.subprotocol == "chat.v1"


async def refused(
    app: ASGIApp, path: str = "/", **options: Any
) -> tuple[int | None, dict[str, Any], dict[str, str]]:
    """The status, body and headers with which a connection is turned away."""
    client = connect(app, path, **options)
    await client.open()
    assert not client.accepted
    headers = {name.decode(): value.decode() for name, value in client.response_headers}
    with contextlib.suppress(Refused):
        await client.finished()
    return client.denial_status, json.loads(client.denial_body), headers


@FRAMEWORKS
async def test_who_has_none_or_a_bad_one_is_refused_before_the_accept(app: ASGIApp) -> None:
    status, body, headers = await refused(app)
    assert (status, body["code"]) == (401, 4001)
    assert body["reason"].startswith("no token")
    assert headers["www-authenticate"] == "Bearer"
    assert headers["content-type"] == "application/json"
    status, body, _ = await refused(app, f"/?token={token(exp=1)}")
    assert (status, body) == (401, {"code": 4001, "reason": "the token has expired: get a fresh one"})


@FRAMEWORKS
async def test_a_room_that_is_not_ones_own_is_forbidden(app: ASGIApp) -> None:
    own = token(rooms={"team-*": ["join"], "hall": ["publish"]})
    assert await say(app, f"/?room=team-1&token={own}") == "ada: hi"
    for room in ("general", "hall"):
        status, body, headers = await refused(app, f"/?room={room}&token={own}")
        assert (status, body) == (403, {"code": 4003, "reason": "this room is not open to you"})
        assert "www-authenticate" not in headers


@FRAMEWORKS
@pytest.mark.parametrize("room", ["%E2%80%AEx", "a%E2%80%A8b", "a%0Ab", "", "x" * 256], ids=ascii)
async def test_a_room_that_can_be_none_is_refused_before_anybody_is_asked(app: ASGIApp, room: str) -> None:
    before = counts[Reason.ROOM_NAME], counts[Reason.UNAUTHENTICATED]
    status, body, headers = await refused(app, f"/?room={room}")
    assert (status, body["code"]) == (400, 4000)
    assert body["reason"].startswith("a room's name has")
    assert "www-authenticate" not in headers
    assert (counts[Reason.ROOM_NAME], counts[Reason.UNAUTHENTICATED]) == (before[0] + 1, before[1])
    page = await connect(app, f"/?room={room}", headers=[("origin", "http://testserver")]).open()
    assert await page.closed() == 4000
    with contextlib.suppress(Refused):
        await page.finished()


@FRAMEWORKS
async def test_a_page_sees_the_code_in_a_close(app: ASGIApp) -> None:
    offered = [f"roomcast.token.{token(exp=1)}", "chat.v1"]
    headers = [("origin", "http://testserver"), ("sec-websocket-protocol", ", ".join(offered))]
    client = await connect(app, "/", headers=headers, subprotocols=offered).open()
    assert client.accepted
    assert client.subprotocol == "chat.v1"
    assert await client.closed() == 4001
    assert client.close_reason == "the token has expired: get a fresh one"
    with contextlib.suppress(Refused):
        await client.finished()


async def test_on_a_server_without_denials_it_is_a_plain_refusal() -> None:
    client = await connect(plain, "/", denial=False).open()
    assert (client.accepted, client.close_code) == (False, 4001)
    await client.finished()


async def test_who_is_turned_away_or_ended_is_counted() -> None:
    before = counts.copy()
    await refused(plain)
    await refused(plain, f"/?room=r&token={token(rooms={})}")
    await refused(guarded(Auth(lambda _: 1)))  # type: ignore[arg-type,return-value]
    client = await connect(plain, f"/?token={token(exp=int(time.time()) + 2)}").open()
    assert await client.closed() == 4001
    await client.disconnect()
    told = (Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.UNDECIDED, Reason.EXPIRED)
    assert [counts[reason] - before[reason] for reason in told] == [1, 1, 1, 1]


async def test_http_requests_are_known_by_the_same_rules() -> None:
    transport = httpx.ASGITransport(APPS["fastapi"])
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        assert (await http.get("/me", headers={"Authorization": f"Bearer {token()}"})).json() == "ada"
        answer = await http.get("/me")
        assert answer.status_code == 401
        assert answer.json()["detail"].startswith("no token")


# On real servers


@pytest.mark.parametrize("name", APPS)
@pytest.mark.parametrize("ws", [OURS, "websockets-sansio", "wsproto"])
async def test_a_token_among_the_subprotocols_lets_in_on_each_server(name: str, ws: str) -> None:
    offered = [Subprotocol(f"roomcast.token.{token('ada')}"), Subprotocol("chat.v1")]
    with LiveServer(APPS[name], ws=ws, lifespan="off") as server:
        async with connect_to(server.ws_url, proxy=None, subprotocols=offered) as client:
            assert client.subprotocol == "chat.v1"
            await client.send("hi")
            assert await client.recv() == "ada: hi"


ON_SERVERS = pytest.mark.parametrize(
    ("app", "ws"),
    [("asgi", OURS), ("starlette", OURS), ("starlette", "websockets-sansio"), ("asgi", "wsproto")],
)


@ON_SERVERS
async def test_at_its_end_the_connection_is_closed_unless_a_fresh_token_came_before(app: str, ws: str) -> None:
    with LiveServer(APPS[app], ws=ws, lifespan="off") as server:
        end = int(time.time()) + 3
        async with (
            connect_to(f"{server.ws_url}/?token={token('ada', exp=end)}", proxy=None) as ending,
            connect_to(f"{server.ws_url}/?token={token('bob', exp=end)}", proxy=None) as staying,
        ):
            await staying.send(json.dumps({"token": token("eve")}))
            assert await staying.recv() == "4003 the fresh token is another user's"
            await staying.send(json.dumps({"token": token("bob", exp=1)}))
            assert await staying.recv() == "4001 the token has expired: get a fresh one"
            fresh = int(time.time()) + 3600
            await staying.send(json.dumps({"token": token("bob", exp=fresh)}))
            assert await staying.recv() == f"until {float(fresh)}"
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(ending.recv(), 10)
            assert time.time() >= end
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4001
            assert "has expired" in closed.value.rcvd.reason
            await staying.send("still here")
            assert await staying.recv() == "bob: still here"
        with pytest.raises(InvalidStatus) as answer:
            async with connect_to(server.ws_url, proxy=None):
                pass
        assert answer.value.response.status_code == 401
        assert json.loads(answer.value.response.body or b"")["code"] == 4001


async def test_a_framework_can_be_told_that_a_refusal_is_no_error() -> None:
    app = Starlette(routes=[WebSocketRoute("/", starlette_endpoint)])
    app.add_exception_handler(Refused, lambda *_: None)  # type: ignore[arg-type]
    client = await connect(app, "/").open()
    assert client.denial_status == 401
    await client.finished()


@pytest.mark.parametrize("ws", [OURS, "websockets-sansio"])
async def test_in_quart_too_the_connection_is_closed_at_its_end(ws: str) -> None:
    app = Quart(__name__)

    @app.websocket("/")
    async def endpoint() -> None:
        async with AUTH.admit(quart_websocket) as caller:
            await quart_websocket.accept()
            await quart_websocket.send(caller.user)
            while True:
                await quart_websocket.receive()

    app.asgi_app = Rooms("memory://").wrap(app.asgi_app)  # type: ignore[method-assign,assignment,arg-type]
    with LiveServer(app, ws=ws) as server:  # type: ignore[arg-type]
        url = f"{server.ws_url}/?token={token(exp=int(time.time()) + 3)}"
        async with connect_to(url, proxy=None) as client:
            assert await client.recv() == "ada"
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(client.recv(), 10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001
        with pytest.raises(InvalidStatus) as answer:
            async with connect_to(server.ws_url, proxy=None):
                pass
        assert answer.value.response.status_code == 403  # Quart knows no other


async def test_a_member_of_a_room_is_closed_at_its_end_on_any_server() -> None:
    rooms = Rooms("memory://")

    @rooms.wrap
    @websocket_app
    async def app(ws: WebSocket) -> None:
        async with AUTH.admit(ws, "r") as caller, rooms.join("r", ws, user=caller.user) as member:
            async for message in member:
                await rooms.publish("r", message)

    for ws in (OURS, "websockets-sansio"):
        with LiveServer(app, ws=ws) as server:
            async with connect_to(
                f"{server.ws_url}/?token={token(exp=int(time.time()) + 3)}", proxy=None
            ) as client:
                await client.send("hi")
                assert await client.recv() == "hi"
                with pytest.raises(ConnectionClosed) as closed:
                    await asyncio.wait_for(client.recv(), 10)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4001


# An app's own rules


def by_cookie(connection: HTTPConnection) -> Identity | None:
    user = connection.cookies.get("session")
    return None if user is None else Identity(user, rooms=EVERYWHERE)


def guarded(auth: Auth, room: str = "r") -> ASGIApp:
    @websocket_app
    async def app(ws: WebSocket) -> None:
        async with auth.admit(ws, room) as caller:
            await ws.accept()
            await converse(ws, caller)

    return app


async def test_an_app_may_say_itself_who_comes_and_what_they_may() -> None:
    asked: list[tuple[str, str, str]] = []

    async def allow(identity: Identity, action: str, room: str) -> bool:
        asked.append((identity.user, action, room))
        return room == "r"

    auth = Auth(by_cookie, allow)
    cookie = [("cookie", "session=ada")]
    assert await say(guarded(auth), "/", headers=cookie) == "ada: hi"
    assert asked == [("ada", "join", "r")]
    assert (await refused(guarded(auth, "other"), headers=cookie))[0] == 403
    status, body, _ = await refused(guarded(auth))
    assert (status, body) == (401, {"code": 4001, "reason": "you are not signed in"})


async def test_an_app_may_say_in_its_own_words_why_not() -> None:
    async def nobody(_: HTTPConnection) -> Identity:
        raise Unauthenticated("the session is over: sign in again " + "é" * 200)

    status, body, _ = await refused(guarded(Auth(nobody)))
    assert status == 401
    assert body["reason"].startswith("the session is over")
    assert len(body["reason"].encode()) <= 123


async def test_an_identity_that_holds_no_more_lets_nobody_in() -> None:
    status, body, _ = await refused(
        guarded(Auth(lambda _: Identity("ada", rooms=EVERYWHERE, expires=time.time())))
    )
    assert (status, body["code"]) == (401, 4001)
    assert body["reason"].startswith("this is over: sign in again")


@pytest.mark.parametrize("result", ["ada", 1, {"user": "ada"}])
async def test_an_authenticator_that_returns_something_else_lets_nobody_in(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    status, body, headers = await refused(guarded(Auth(lambda _: result)))
    assert (status, body["code"]) == (503, 1013)
    assert int(headers["retry-after"]) > 0
    assert "the authenticator returned" in caplog.text


@pytest.mark.parametrize("result", [None, 1, "yes", pytest.param(object(), id="object")], ids=repr)
async def test_an_authorizer_that_does_not_say_true_allows_nothing(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    auth = Auth(by_cookie, lambda *_: result)
    assert (await refused(guarded(auth), headers=[("cookie", "session=ada")]))[0] == 503
    assert "the authorizer returned" in caplog.text


async def test_rules_that_raise_or_are_late_let_nobody_in_and_are_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def raising(*_: Any) -> Any:
        raise ValueError(SECRET)

    async def late(*_: Any) -> Any:
        await asyncio.Event().wait()

    cookie = [("cookie", "session=ada")]
    for auth in (
        Auth(raising),
        Auth(late, timeout=0.01),
        Auth(by_cookie, raising),
        Auth(by_cookie, late, timeout=0.01),
    ):
        caplog.clear()
        for _ in range(3):
            status, body, _ = await refused(guarded(auth), headers=cookie)
            assert (status, body["code"]) == (503, 1013)
        assert len(caplog.records) == 1
        assert SECRET not in caplog.text


async def test_a_page_is_told_to_come_again_where_nobody_could_decide() -> None:
    def raising(_: HTTPConnection) -> Identity:
        raise ValueError

    client = await connect(guarded(Auth(raising)), "/", headers=[("origin", "http://testserver")]).open()
    assert await client.closed() == 1013
    await client.finished()


async def test_without_tokens_there_is_none_to_refresh_but_an_identity_can_be_renewed() -> None:
    callers: list[Caller] = []

    @websocket_app
    async def app(ws: WebSocket) -> None:
        async with Auth(by_cookie).admit(ws) as caller:
            callers.append(caller)
            await ws.accept()
            await converse(ws, caller)

    async with connect(app, "/", headers=[("cookie", "session=ada")]) as client:
        await client.send(json.dumps({"token": token()}))
        assert str(await client.receive()).startswith("4001 no token is taken here")
        (caller,) = callers
        assert await caller.may("publish", "r")
        caller.renew(Identity("ada", rooms={"r": ["join"]}))
        assert not await caller.may("publish", "r")
        with pytest.raises(Forbidden, match="you may not publish in this room"):
            await caller.require("publish", "r")
        with pytest.raises(Forbidden, match="another user"):
            caller.renew(Identity("eve"))
        with pytest.raises(Unauthenticated, match="is over"):
            caller.renew(Identity("ada", expires=time.time() - 1))


async def test_a_handler_that_has_not_accepted_yet_is_closed_once_it_has() -> None:
    let_go = asyncio.Event()

    @websocket_app
    async def app(ws: WebSocket) -> None:
        async with AUTH.admit(ws) as caller:
            await let_go.wait()
            await ws.accept()
            await converse(ws, caller)

    end = int(time.time()) + 2
    connecting = asyncio.ensure_future(connect(app, f"/?token={token(exp=end)}").open())
    await asyncio.sleep(end + 0.1 - time.time())  # until the token has ended: there is no event for that
    let_go.set()
    client = await connecting
    assert client.accepted
    assert await client.closed() == 4001
    await client.disconnect()


def test_a_timeout_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        Auth(by_cookie, timeout=0)
