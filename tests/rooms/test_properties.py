"""Whatever members do, and in whatever order: nobody misses, repeats or reorders, and nothing is left behind.

On any server's plain `send`, without a network, and on our own server, over sockets.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from roomcast import CloseCode, Joined, Position, Presence, Publication, Rooms
from roomcast.rooms.brokers.memory import MemoryBroker
from tests.rooms.guests import Guest, until
from tests.rooms.sockets import SocketGuest
from tests.server.serving import serving

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from roomcast import RoomEvent

ROOMS = ("one", "other")
PEOPLE = 4
BOUND = 2000
BOUND_OF_SOCKETS = 40_000
"""Beside what the kernel holds, which is more than `BOUND`; messages are longer in proportion."""

PERSON = st.integers(0, PEOPLE - 1)
ROOM = st.sampled_from(ROOMS)
ACTIONS = st.one_of(
    st.tuples(st.just("join"), PERSON, ROOM),
    st.tuples(st.just("come_back"), PERSON),
    st.tuples(st.just("disconnect"), PERSON),
    st.tuples(st.just("reconnect"), PERSON),
    st.tuples(st.just("cancel"), PERSON),
    st.tuples(st.just("kick"), PERSON),
    st.tuples(st.just("remove"), PERSON),
    st.tuples(st.just("close_room"), ROOM),
    st.tuples(st.just("leave"), PERSON),
    st.tuples(st.just("say_to"), PERSON),
    st.tuples(st.just("stall"), PERSON),
    st.tuples(st.just("resume"), PERSON),
    st.tuples(st.just("publish"), ROOM, st.sampled_from([0, 10, 400, 900]), st.none() | PERSON),
    st.tuples(st.just("burst"), ROOM, st.integers(2, 30)),
    st.tuples(st.just("mention"), ROOM),
    st.tuples(st.just("turn"), st.integers(1, 5)),
)

OWN_IS_LEFT_OUT = [
    ("join", 0, "one"),
    ("publish", "one", 10, None),
    ("turn", 5),
    ("publish", "one", 10, 0),
    ("reconnect", 0),
]
"""One who is left out of what it said comes back: rare by chance."""


def told(event: RoomEvent) -> str:
    """An encoder that tells everything: publications with their offset, and who comes and goes."""
    if isinstance(event, Publication):
        at = "-" if event.position is None else str(event.position)
        return f"{at} {event.data!r}"
    return f"{'joined' if isinstance(event, Joined) else 'left'} {event.member.id}"


@dataclass
class Visit:
    """One person's time in a room, and what it should hear in it.

    Attributes:
        expected: the publications that were made while it was there, but for those that left it out.
        present: who was there when it came, by their ids.
        stalled: whether it reads nothing.
        over: whether it was made to leave: what had not been written by then may be missing at the end.
        has_left: whether it has left by itself, and its connection goes on.
        is_cancelled: whether its handler was cancelled, and was not told how its connection ended.
    """

    guest: Guest
    expected: list[str]
    present: set[str]
    stalled: bool = False
    over: bool = False
    has_left: bool = False
    is_cancelled: bool = False
    heard: list[str] = field(default_factory=list)

    def read(self) -> None:
        """Take what the client has got so far."""
        events = self.guest.client._from_app
        while events:
            event = events.popleft()
            if event["type"] == "websocket.send":
                self.heard.append(event["text"])

    def has_heard_all(self) -> bool:
        self.read()
        return len(self.publications) >= len(self.expected)

    @property
    def publications(self) -> list[str]:
        return [message for message in self.heard if not message.startswith(("joined ", "left "))]


@dataclass(frozen=True)
class Line:
    """What was published: where, how a member hears it, and the id of the member that does not."""

    position: Position
    text: str
    left_out: str | None


class World:
    """The rooms, the people, and a model of what each should hear.

    Args:
        over_sockets: whether the people come to our own server over sockets.
    """

    def __init__(self, *, over_sockets: bool) -> None:
        self.broker = MemoryBroker()
        self.over_sockets = over_sockets
        self.scale = BOUND_OF_SOCKETS // BOUND if over_sockets else 1
        self.rooms = Rooms(self.broker, encoder=told, outbox_bytes=BOUND * self.scale, linger=0)
        self.published: dict[str, list[Line]] = {room: [] for room in ROOMS}
        self.visits: dict[int, Visit] = {}
        self.past: list[Visit] = []
        self.ids: dict[int, list[str]] = {}
        """The ids that each person has had."""
        self.told: dict[str, list[str]] = {"joined": [], "left": []}
        """The ids that the callbacks were called with."""
        self.rooms.on_join(self.note_join)
        self.rooms.on_leave(self.note_leave)
        self.count = 0
        self.address: Any = None

    def note_join(self, _room: str, member: Presence) -> None:
        self.told["joined"].append(member.id)

    def note_leave(self, _room: str, member: Presence) -> None:
        assert member.id in self.told["joined"]
        self.told["left"].append(member.id)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await SocketGuest.expected[scope["path"][1:]]._app(scope, receive, send)

    async def run(self, actions: list[tuple[Any, ...]]) -> None:
        async with AsyncExitStack() as stack:
            if self.over_sockets:
                self.address = (
                    await stack.enter_async_context(serving(self.app, interface="asgi3", send_buffer=16_384))
                ).address
            await self.live(actions)

    async def live(self, actions: list[tuple[Any, ...]]) -> None:
        async with self.rooms:
            for name, *arguments in actions:
                await getattr(self, name)(*arguments)
                self.notice_who_was_closed()
            await until(lambda: not self.rooms._node.farewells)
            for visit in self.visits.values():
                if not visit.over:
                    await self.catch_up(visit)
            for room in ROOMS:  # who has heard that has heard everything
                await self.say(room, "the end", None)
            self.notice_who_was_closed()
            await self.check_presence()
        everybody = sorted(member for ids in self.ids.values() for member in ids)
        assert sorted(self.told["joined"]) == sorted(self.told["left"]) == everybody
        for visit in [*self.past, *self.visits.values()]:
            visit.guest.client.resume()
            if visit.has_left:
                await visit.guest.client.disconnect()
            await until(visit.guest.task.done)
            self.check(visit)
        self.check_nothing_is_left()

    # What may happen

    async def join(self, person: int, room: str) -> None:
        if person not in self.visits:
            await self.enter(person, self.guest(person, room), [])

    def guest(self, person: int, room: str, **settings: Any) -> Guest:
        if self.over_sockets:
            return SocketGuest(self.address, self.rooms, room, user=str(person), **settings)
        return Guest(self.rooms, room, user=str(person), **settings)

    async def come_back(self, person: int) -> None:
        """Join the same room again, from the last position that the client has heard, and with its former ids."""
        past = self.visits.get(person)
        if past is None or not past.over:
            return
        del self.visits[person]
        self.past.append(past)
        past.read()
        positions = [message.split()[0] for message in past.publications if message[0] not in "->"]
        if not positions:
            return
        since, room, ids = Position.parse(positions[-1]), past.guest._room, self.ids[person]
        missed = [
            line.text
            for line in self.published[room]
            if line.position.offset > since.offset and line.left_out not in ids
        ]
        await self.enter(person, self.guest(person, room, since=since, formerly=list(ids)), missed)
        assert self.visits[person].guest.member.recovered

    async def enter(self, person: int, guest: Guest, expected: list[str]) -> None:
        await guest.enter()
        present = {presence.id for presence in await self.rooms.members(guest._room)}
        self.visits[person] = Visit(guest, expected, present - {guest.member.id})
        self.ids.setdefault(person, []).append(guest.member.id)

    async def disconnect(self, person: int) -> None:
        if visit := self.there(person):
            visit.over = True
            await visit.guest.client.disconnect()

    async def reconnect(self, person: int) -> None:
        await self.disconnect(person)
        await self.come_back(person)

    async def cancel(self, person: int) -> None:
        if visit := self.there(person):
            visit.over = visit.is_cancelled = True
            visit.guest.task.cancel()
            await until(lambda: visit.guest.member not in self.rooms._node.membership.of(visit.guest._room))

    async def kick(self, person: int) -> None:
        if visit := self.there(person):
            visit.over = True
            visit.guest.member.close(4003)

    async def remove(self, person: int) -> None:
        if visit := self.there(person):
            visit.over = True
        await self.rooms.disconnect(str(person))

    async def close_room(self, room: str) -> None:
        for visit in self.visits.values():
            visit.over = visit.over or visit.guest._room == room
        await self.rooms.close(room)

    async def leave(self, person: int) -> None:
        """Leave the room, while the handler still waits for what the client says."""
        if (visit := self.there(person)) and not visit.stalled:
            visit.over = visit.has_left = True
            await visit.guest.member.leave()

    async def say_to(self, person: int) -> None:
        self.count += 1
        line = f"> {self.count}"
        if visit := self.there(person):
            visit.expected.append(line)
        await self.rooms.send_to(str(person), line)

    async def stall(self, person: int) -> None:
        if visit := self.there(person):
            visit.stalled = True
            visit.guest.client.stall()

    async def resume(self, person: int) -> None:
        if visit := self.there(person):
            visit.stalled = False
            await self.catch_up(visit)

    async def publish(self, room: str, size: int, left_out: int | None = None) -> None:
        visit = None if left_out is None else self.there(left_out)
        await self.say(room, "x" * size * self.scale, visit)

    async def burst(self, room: str, count: int) -> None:
        for _ in range(count):
            await self.say(room, "x" * 300 * self.scale, None)

    async def turn(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    async def say(self, room: str, text: str, left_out: Visit | None) -> None:
        self.count += 1
        data = f"{self.count} {text}"
        position = Position(len(self.published[room]) + 1, (await self.rooms.position(room)).epoch)
        line = f"{position} {data!r}"
        excluded = None if left_out is None else left_out.guest.member
        self.published[room].append(Line(position, line, None if excluded is None else excluded.id))
        self.expect(room, line, left_out)
        assert await self.rooms.publish(room, data, exclude=excluded) == position

    async def mention(self, room: str) -> None:
        self.count += 1
        data = f"{self.count} passing"
        self.expect(room, f"- {data!r}", None)
        await self.rooms.publish(room, data, keep=False)

    async def catch_up(self, visit: Visit) -> None:
        visit.guest.client.resume()
        await until(lambda: visit.over or visit.guest.member.stats.queued_bytes == 0)

    # What should come of it

    def there(self, person: int) -> Visit | None:
        visit = self.visits.get(person)
        return None if visit is None or visit.over else visit

    def expect(self, room: str, line: str, left_out: Visit | None) -> None:
        for visit in self.visits.values():
            if visit.guest._room == room and not visit.over and visit is not left_out:
                visit.expected.append(line)

    def notice_who_was_closed(self) -> None:
        for visit in self.visits.values():
            if visit.guest.member.closed and not visit.over:
                assert visit.stalled, "only who reads nothing may be closed"
                visit.over = True

    async def check_presence(self) -> None:
        """Who has heard everything so far knows who is there."""
        for visit in self.visits.values():
            if visit.over:
                continue
            await until(visit.has_heard_all)
            notices = [message for message in visit.heard if message.startswith(("joined ", "left "))]
            assert len(set(notices)) == len(notices), "each is told once"
            known = set(visit.present)
            for notice in notices:
                what, _, who = notice.partition(" ")
                (known.add if what == "joined" else known.discard)(who)
            members = {presence.id for presence in await self.rooms.members(visit.guest._room)}
            assert known == members - {visit.guest.member.id}
            assert visit.publications == visit.expected

    def check(self, visit: Visit) -> None:
        visit.read()
        assert visit.publications == visit.expected[: len(visit.publications)]
        assert visit.guest.left.is_set()
        if visit.stalled and not visit.is_cancelled:
            ends = {CloseCode.TOO_SLOW, CloseCode.SERVICE_RESTART, CloseCode.REMOVED, CloseCode.ROOM_CLOSED, 4003}
            assert visit.guest.ws.close_code in ends | {1005}

    def check_nothing_is_left(self) -> None:
        rooms = self.rooms
        assert not rooms._connections
        assert not rooms._node.farewells
        assert not rooms._node.membership._rooms
        assert not rooms._node.subscriptions._rooms
        assert not self.broker._rooms


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(actions=st.lists(ACTIONS, max_size=60))
@example(actions=OWN_IS_LEFT_OUT)
@pytest.mark.parametrize("over_sockets", [False, True], ids=["plain send", "our server"])
def test_members_hear_all_that_is_said_while_they_are_there_once_and_in_order(
    over_sockets: bool, actions: list[tuple[Any, ...]]
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("roomcast.rooms.outlet.CLOSE_TIMEOUT", 0.001)
        asyncio.run(World(over_sockets=over_sockets).run(actions))
