"""What every broker does, in one process or many.

A broker takes part by a `Nodes`: it makes brokers that share their rooms where the implementation can do that.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol

import pytest

from roomcast import BrokerUnavailable, Position, Retention
from roomcast.rooms.brokers import broker_from_url
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.rooms.brokers.sqlite import SqliteBroker
from roomcast.rooms.brokers.sqlite.url import Location
from roomcast.rooms.retention import Retentions
from tests.brokers.nats_server import NatsServer, needs_nats
from tests.brokers.redis_server import RedisCluster, RedisServer, needs_redis
from tests.rooms.brokers.node import Node
from tests.rooms.guests import DEADLINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from roomcast.rooms import Broker


class Nodes(ABC):
    """Makes the brokers of a test, each a node of its own.

    Args:
        folder: where it may leave files.
        server: the URL of the server that the brokers share, where they need one.
    """

    durable = False
    """Whether what is in a broker outlives it, and `make_again` makes one that has it."""
    server: ClassVar[str | None] = None
    """The fixture that has the URL of a server, where the brokers need one."""

    def __init__(self, folder: Path, server: str | None) -> None:
        self._folder = folder
        self._server = server

    async def make_again(self) -> Broker:
        """Make a broker with the rooms of the one that was made last, which is closed."""
        raise NotImplementedError

    @abstractmethod
    async def make(self) -> Broker:
        """Make one more broker, which shares its rooms with the others where `many_processes` says so."""

    async def end(self) -> None:
        """Clean up after the test."""
        return


class MemoryNodes(Nodes):
    """A broker in memory is a node for itself, and leaves nothing to clean up."""

    async def make(self) -> Broker:
        return MemoryBroker()


class SqliteNodes(Nodes):
    """A broker in a file is a node for itself, and each has a file of its own."""

    durable = True

    def __init__(self, folder: Path, server: str | None) -> None:
        super().__init__(folder, server)
        self._made = 0

    async def make(self) -> Broker:
        self._made += 1
        return await self.make_again()

    async def make_again(self) -> Broker:
        return SqliteBroker(Location(self._folder / f"{self._made}.db"))


class SharedNodes(Nodes):
    """The brokers of a test share a server with those of other tests, under names that are their own."""

    durable = True

    def __init__(self, folder: Path, server: str | None) -> None:
        super().__init__(folder, server)
        self._prefix = secrets.token_hex(4)

    async def make(self) -> Broker:
        assert self._server is not None
        return broker_from_url(f"{self._server}?prefix={self._prefix}")

    async def make_again(self) -> Broker:
        return await self.make()


class RedisNodes(SharedNodes):
    """On one Redis."""

    server = "redis_url"


class RedisClusterNodes(SharedNodes):
    """On a cluster of three masters."""

    server = "redis_cluster_url"


class NatsNodes(SharedNodes):
    """On one NATS with JetStream."""

    server = "nats_url"


class Keeping(Protocol):
    """Opens a broker with the retention of each room."""

    async def __call__(self, retention: Retention | dict[str, Retention]) -> Broker: ...


class Again(Protocol):
    """Closes the broker, and gives another one with the same rooms."""

    async def __call__(self) -> Node: ...


KINDS = [
    pytest.param(MemoryNodes, id="memory"),
    pytest.param(SqliteNodes, id="sqlite"),
    pytest.param(RedisNodes, id="redis", marks=needs_redis),
    pytest.param(RedisClusterNodes, id="redis-cluster", marks=needs_redis),
    pytest.param(NatsNodes, id="nats", marks=needs_nats),
]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RedisServer(tmp_path_factory.mktemp("redis"), append=False) as redis:
        yield redis.url


@pytest.fixture(scope="session")
def redis_cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RedisCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster.url


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as nats:
        yield nats.url


@pytest.fixture(params=KINDS)
async def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Nodes]:
    kind: type[Nodes] = request.param
    nodes = kind(tmp_path, request.getfixturevalue(kind.server) if kind.server is not None else None)
    yield nodes
    await nodes.end()


@pytest.fixture
async def node(nodes: Nodes) -> AsyncIterator[Node]:
    node = Node(await nodes.make())
    await node.open()
    yield node
    await node.broker.close()


@pytest.fixture
def broker(node: Node) -> Broker:
    return node.broker


@pytest.fixture
async def other(nodes: Nodes, node: Node) -> AsyncIterator[Node]:
    """A second node that shares the first one's rooms."""
    if not type(node.broker).many_processes:
        pytest.skip("this broker serves one process")
    other = Node(await nodes.make())
    await other.open()
    yield other
    await other.broker.close()


async def publish(broker: Broker, room: str, *payloads: bytes) -> list[Position]:
    return [await broker.publish(room, payload) for payload in payloads]


# Order


async def test_offsets_count_a_rooms_publications_from_one_in_one_epoch(broker: Broker) -> None:
    positions = await publish(broker, "r", b"a", b"b", b"c")
    assert [position.offset for position in positions] == [1, 2, 3]
    assert len({position.epoch for position in positions}) == 1
    assert positions[0].epoch


async def test_each_room_counts_for_itself(broker: Broker) -> None:
    await publish(broker, "one", b"a", b"b")
    [position] = await publish(broker, "other", b"a")
    assert position.offset == 1


async def test_publications_at_the_same_time_get_offsets_without_gaps(node: Node) -> None:
    await node.broker.subscribe("r")
    async with asyncio.TaskGroup() as tasks:
        publishing = [tasks.create_task(node.broker.publish("r", str(number).encode())) for number in range(50)]
    offsets = [task.result().offset for task in publishing]
    assert sorted(offsets) == list(range(1, 51))
    for offset in range(1, 51):
        room, position, payload = await node.delivered()
        assert position is not None
        assert position.offset == offset
        assert (room, payload) == ("r", str(offsets.index(offset)).encode())


# Delivery


async def test_a_subscribed_room_is_delivered_with_positions_in_order(node: Node) -> None:
    await node.broker.subscribe("r")
    positions = await publish(node.broker, "r", b"a", b"b")
    assert [await node.delivered() for _ in range(2)] == [("r", positions[0], b"a"), ("r", positions[1], b"b")]


async def test_a_room_that_is_not_subscribed_is_not_delivered(node: Node) -> None:
    await publish(node.broker, "before", b"a")
    await node.broker.subscribe("r")
    await node.broker.subscribe("left")
    await node.broker.unsubscribe("left")
    await publish(node.broker, "before", b"b")
    await publish(node.broker, "left", b"c")
    assert await node.delivered_nothing()


async def test_a_room_can_be_subscribed_again(node: Node) -> None:
    for _ in range(2):
        await node.broker.subscribe("r")
        [position] = await publish(node.broker, "r", b"a")
        assert await node.delivered() == ("r", position, b"a")
        await node.broker.unsubscribe("r")


async def test_subscribing_twice_delivers_once_and_one_unsubscribe_ends_it(node: Node) -> None:
    await node.broker.subscribe("r")
    await node.broker.subscribe("r")
    [position] = await publish(node.broker, "r", b"a")
    assert await node.delivered() == ("r", position, b"a")
    await node.broker.unsubscribe("r")
    await publish(node.broker, "r", b"b")
    assert await node.delivered_nothing()


async def test_unsubscribing_what_is_not_subscribed_is_nothing(broker: Broker) -> None:
    await broker.unsubscribe("r")


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\r\n$-1\r\n", bytes(range(256)), b"x" * 200_000])
async def test_payloads_are_opaque(node: Node, payload: bytes) -> None:
    await node.broker.subscribe("r")
    [position] = await publish(node.broker, "r", payload)
    assert await node.delivered() == ("r", position, payload)
    assert (await node.broker.history("r")).kept == [(position, payload)]


ROOM_NAMES = [
    "*",
    "?",
    "a.b",
    "a.*",
    ">",
    "a b",
    "{a}",
    "é🎉",
    "a\nb",
    "\x00",
    "a:b",
    "/",
    "%s",
    "'; --",
    "x" * 255,
]


async def test_room_names_are_opaque_and_mean_one_room_each(node: Node) -> None:
    for name in ROOM_NAMES:
        await node.broker.subscribe(name)
    for number, name in enumerate(ROOM_NAMES):
        [position] = await publish(node.broker, name, str(number).encode())
        assert position.offset == 1
        assert await node.delivered() == (name, position, str(number).encode())
    for name in ROOM_NAMES:
        await node.broker.arrive(name, "m", b"")
    assert await node.broker.rooms() == dict.fromkeys(ROOM_NAMES, 1)


# Publications that are not kept


async def test_what_is_not_kept_is_delivered_without_a_position_and_leaves_no_trace(node: Node) -> None:
    await node.broker.subscribe("r")
    [before] = await publish(node.broker, "r", b"a")
    assert await node.broker.publish("r", b"passing", keep=False) == before
    [after] = await publish(node.broker, "r", b"b")
    assert after.offset == 2
    assert [await node.delivered() for _ in range(3)] == [
        ("r", before, b"a"),
        ("r", None, b"passing"),
        ("r", after, b"b"),
    ]
    assert [payload for _, payload in (await node.broker.history("r")).kept] == [b"a", b"b"]


async def test_what_is_not_kept_in_a_new_room_leaves_it_at_offset_zero(broker: Broker) -> None:
    position = await broker.publish("r", b"passing", keep=False)
    assert position.offset == 0
    assert (await broker.history("r")).position == position
    [first] = await publish(broker, "r", b"a")
    assert first == Position(1, position.epoch)


# Keys


async def test_a_key_seen_before_publishes_nothing_and_gives_the_first_position(node: Node) -> None:
    await node.broker.subscribe("r")
    first = await node.broker.publish("r", b"a", key="k")
    [second] = await publish(node.broker, "r", b"b")
    assert await node.broker.publish("r", b"other", key="k") == first
    assert [await node.delivered() for _ in range(2)] == [("r", first, b"a"), ("r", second, b"b")]
    assert await node.delivered_nothing()
    assert [payload for _, payload in (await node.broker.history("r")).kept] == [b"a", b"b"]


async def test_a_key_counts_in_its_room(broker: Broker) -> None:
    await broker.publish("one", b"a", key="k")
    await broker.publish("other", b"b", key="k")
    assert [payload for _, payload in (await broker.history("other")).kept] == [b"b"]


async def test_other_keys_and_no_key_are_publications_of_their_own(broker: Broker) -> None:
    offsets = [(await broker.publish("r", b"", key=key)).offset for key in ("a", "b", None, None, "", "A")]
    assert offsets == [1, 2, 3, 4, 5, 6]
    assert (await broker.publish("r", b"", key="")).offset == 5


async def test_a_key_of_what_is_not_kept_is_known_again(node: Node) -> None:
    await node.broker.subscribe("r")
    first = await node.broker.publish("r", b"a", key="k", keep=False)
    assert await node.broker.publish("r", b"a", key="k", keep=False) == first
    assert await node.delivered() == ("r", None, b"a")
    assert await node.delivered_nothing()


async def test_a_key_at_the_same_time_publishes_once(node: Node) -> None:
    await node.broker.subscribe("r")
    async with asyncio.TaskGroup() as tasks:
        publishing = [tasks.create_task(node.broker.publish("r", b"a", key="k")) for _ in range(20)]
    assert len({task.result() for task in publishing}) == 1
    await node.delivered()
    assert await node.delivered_nothing()


# History


async def test_a_room_without_publications_has_an_empty_history_and_a_steady_position(broker: Broker) -> None:
    history = await broker.history("r")
    assert (history.kept, history.position.offset, history.complete) == ([], 0, True)
    assert (await broker.history("r")).position == history.position


async def test_history_gives_all_that_is_kept_in_order(broker: Broker) -> None:
    positions = await publish(broker, "r", b"a", b"b", b"c")
    history = await broker.history("r")
    assert history.kept == list(zip(positions, [b"a", b"b", b"c"], strict=True))
    assert history.position == positions[-1]
    assert history.complete


@pytest.mark.parametrize(
    ("since", "limit", "reverse", "payloads", "complete"),
    [
        (None, None, False, b"abcde", True),
        (None, None, True, b"edcba", True),
        (None, 2, False, b"ab", False),
        (None, 2, True, b"ed", False),
        (None, 5, False, b"abcde", True),
        (None, 9, False, b"abcde", True),
        (None, 0, False, b"", False),
        (0, None, False, b"abcde", True),
        (2, None, False, b"cde", True),
        (2, None, True, b"edc", True),
        (2, 2, False, b"cd", False),
        (2, 2, True, b"ed", False),
        (2, 3, False, b"cde", True),
        (4, 1, False, b"e", True),
        (5, None, False, b"", True),
        (5, None, True, b"", True),
        (5, 0, False, b"", True),
    ],
)
async def test_history_since_with_limit_and_reversed(
    broker: Broker, since: int | None, limit: int | None, reverse: bool, payloads: bytes, complete: bool
) -> None:
    newest = (await publish(broker, "r", b"a", b"b", b"c", b"d", b"e"))[-1]
    position = None if since is None else Position(since, newest.epoch)
    history = await broker.history("r", since=position, limit=limit, reverse=reverse)
    assert b"".join(payload for _, payload in history.kept) == payloads
    assert history.complete is complete
    assert history.position == newest


async def test_history_since_another_epoch_is_all_there_is_and_not_complete(broker: Broker) -> None:
    await publish(broker, "r", b"a", b"b")
    history = await broker.history("r", since=Position(1, "another"))
    assert [payload for _, payload in history.kept] == [b"a", b"b"]
    assert not history.complete


async def test_history_since_a_position_that_was_never_reached_is_not_complete(broker: Broker) -> None:
    [position] = await publish(broker, "r", b"a")
    history = await broker.history("r", since=Position(7, position.epoch))
    assert history.kept == []
    assert not history.complete


async def test_a_history_that_was_given_is_not_changed_by_what_comes(broker: Broker) -> None:
    await publish(broker, "r", b"a")
    history = await broker.history("r")
    await publish(broker, "r", b"b")
    assert len(history.kept) == 1


# Retention

FOR_EVER = float("inf")


@pytest.fixture
async def keeping(nodes: Nodes) -> AsyncIterator[Keeping]:
    """Opens a broker with the retention of each room."""
    opened: list[Broker] = []

    async def keeping(retention: Retention | dict[str, Retention]) -> Broker:
        node = Node(await nodes.make())
        await node.open(Retentions(retention))
        opened.append(node.broker)
        return node.broker

    yield keeping
    for broker in opened:
        await broker.close()


async def offsets(broker: Broker, room: str = "r") -> list[int]:
    return [position.offset for position, _ in (await broker.history(room)).kept]


async def test_the_newest_are_kept_up_to_a_number(keeping: Keeping) -> None:
    broker = await keeping(Retention(size=5, bytes=1000, age=FOR_EVER))
    newest = (await publish(broker, "r", *(b"%d" % number for number in range(12))))[-1]
    assert await offsets(broker) == [8, 9, 10, 11, 12]
    for since, complete in ((6, False), (7, True), (12, True)):
        history = await broker.history("r", since=Position(since, newest.epoch))
        assert history.complete is complete
        assert history.position == newest


async def test_the_newest_are_kept_up_to_a_size_in_bytes(keeping: Keeping) -> None:
    broker = await keeping(Retention(size=1000, bytes=100, age=FOR_EVER))
    await publish(broker, "r", *(bytes(25) for _ in range(5)))
    assert await offsets(broker) == [2, 3, 4, 5]
    await publish(broker, "r", b"x")
    assert await offsets(broker) == [3, 4, 5, 6]


async def test_one_that_is_bigger_than_the_history_is_not_kept_but_has_its_place(keeping: Keeping) -> None:
    broker = await keeping(Retention(size=1000, bytes=100, age=FOR_EVER))
    (first,) = await publish(broker, "r", b"small")
    await publish(broker, "r", bytes(101))
    history = await broker.history("r", since=first)
    assert (history.kept, history.position.offset, history.complete) == ([], 2, False)
    await publish(broker, "r", b"after")
    assert await offsets(broker) == [3]


async def test_with_a_size_of_zero_nothing_is_kept_and_offsets_count(keeping: Keeping) -> None:
    broker = await keeping(Retention(size=0, bytes=1000, age=FOR_EVER))
    positions = await publish(broker, "r", b"a", b"b")
    assert [position.offset for position in positions] == [1, 2]
    history = await broker.history("r", since=positions[0])
    assert (history.kept, history.position, history.complete) == ([], positions[1], False)


async def test_each_is_kept_for_a_time(keeping: Keeping) -> None:
    brief, long = Retention(size=9, bytes=9, age=0.05), Retention(size=9, bytes=9, age=600)
    broker = await keeping({"brief": brief, "*": long})
    (first,) = await publish(broker, "brief", b"a")
    await publish(broker, "long", b"a")

    async def gone() -> None:
        while (await broker.history("brief")).kept:  # noqa: ASYNC110 - it is time that is waited for
            await asyncio.sleep(0.01)

    await asyncio.wait_for(gone(), DEADLINE)
    assert not (await broker.history("brief", since=Position(0, first.epoch))).complete
    assert len((await broker.history("long")).kept) == 1
    await publish(broker, "brief", b"b")
    assert [payload for _, payload in (await broker.history("brief")).kept] in ([b"b"], [])


async def test_a_room_keeps_what_the_first_pattern_says_that_matches_it(keeping: Keeping) -> None:
    few, many = Retention(size=1, bytes=100, age=FOR_EVER), Retention(size=3, bytes=100, age=FOR_EVER)
    broker = await keeping({"a.*": few, "*.b": many})
    for room in ("a.b", "c.b", "d"):
        await publish(broker, room, *(b"" for _ in range(5)))
    assert await offsets(broker, "a.b") == [5]
    assert await offsets(broker, "c.b") == [3, 4, 5]
    assert await offsets(broker, "d") == [1, 2, 3, 4, 5]


# Many at once


async def test_each_publishers_order_holds_with_what_is_kept_and_what_is_not(node: Node) -> None:
    await node.broker.subscribe("r")

    async def talk(name: str) -> None:
        for number in range(40):
            await node.broker.publish("r", f"{name}{number}".encode(), keep=number % 3 != 0)

    await asyncio.gather(*(talk(name) for name in "abcde"))
    delivered = [await node.delivered() for _ in range(5 * 40)]
    for name in "abcde":
        said = [payload.decode() for _, _, payload in delivered if payload.decode().startswith(name)]
        assert said == [f"{name}{number}" for number in range(40)]
    positions = [position for _, position, _ in delivered if position is not None]
    assert [position.offset for position in positions] == list(range(1, 5 * 26 + 1))
    kept = (await node.broker.history("r")).kept
    assert kept == [(position, payload) for _, position, payload in delivered if position is not None]


async def test_what_one_task_starts_in_order_is_delivered_in_order_kept_or_not(node: Node) -> None:
    await node.broker.subscribe("r")
    tasks = [
        asyncio.create_task(node.broker.publish("r", b"%d" % number, keep=number % 2 == 0)) for number in range(60)
    ]
    await asyncio.gather(*tasks)
    delivered = [await node.delivered() for _ in tasks]
    assert [payload for _, _, payload in delivered] == [b"%d" % number for number in range(60)]


async def test_many_rooms_at_once_do_not_mix(node: Node) -> None:
    rooms = [f"room {number}" for number in range(30)]
    for room in rooms[::2]:
        await node.broker.subscribe(room)

    async def talk(room: str) -> None:
        for number in range(10):
            await node.broker.publish(room, f"{room}/{number}".encode(), key=f"{number}")

    await asyncio.gather(*(talk(room) for room in rooms))
    delivered = [await node.delivered() for _ in range(15 * 10)]
    for room in rooms:
        history = await node.broker.history(room)
        assert [payload for _, payload in history.kept] == [f"{room}/{number}".encode() for number in range(10)]
        told = [(position, payload) for name, position, payload in delivered if name == room]
        assert told == (history.kept if room in rooms[::2] else [])


async def test_history_that_is_read_amid_publishing_has_been_delivered_and_what_comes_then_has_not(
    node: Node,
) -> None:
    if type(node.broker).many_processes:
        pytest.skip("two connections to another process have no common order: offsets tell what is where")
    await node.broker.subscribe("r")
    publishing = [asyncio.create_task(node.broker.publish("r", b"%d" % number)) for number in range(200)]
    await publishing[20]
    history = await node.broker.history("r")
    already = [position.offset for _, position, _ in node.so_far() if position is not None]
    assert [position.offset for position, _ in history.kept] == list(range(1, history.position.offset + 1))
    assert already[: history.position.offset] == list(range(1, history.position.offset + 1))
    await asyncio.gather(*publishing)
    after = [position.offset for _, position, _ in node.so_far() if position is not None]
    assert already + after == list(range(1, 201))


async def test_closing_amid_publishing_leaves_nobody_waiting_and_keeps_what_was_acknowledged(
    nodes: Nodes,
) -> None:
    if not nodes.durable:
        pytest.skip("what is in memory is published at once: nothing is ever under way")
    node = Node(await nodes.make())
    await node.open()
    await node.broker.subscribe("r")

    async def talk() -> int:
        acknowledged = 0
        while True:
            try:
                await node.broker.publish("r", b"x" * 1000)
            except BrokerUnavailable:
                return acknowledged
            acknowledged += 1

    talking = [asyncio.create_task(talk()) for _ in range(20)]
    for _ in range(50):
        await node.delivered()
    await asyncio.wait_for(node.broker.close(), DEADLINE)
    acknowledged = sum(await asyncio.wait_for(asyncio.gather(*talking), DEADLINE))
    again = await nodes.make_again()
    await again.open(lambda *_: None)
    assert (await again.history("r")).position.offset == acknowledged
    await again.close()


# After a restart


@pytest.fixture
async def again(nodes: Nodes, node: Node) -> AsyncIterator[Again]:
    """Closes the broker, and gives another one with the same rooms."""
    if not nodes.durable:
        pytest.skip("what is in this broker ends with it")
    made: list[Broker] = []

    async def again() -> Node:
        await node.broker.close()
        other = Node(await nodes.make_again())
        await other.open()
        made.append(other.broker)
        return other

    yield again
    for broker in made:
        await broker.close()


async def test_a_durable_broker_goes_on_where_it_was(node: Node, again: Again) -> None:
    positions = await publish(node.broker, "r", b"a", b"b")
    before = (await node.broker.history("r")).kept
    other = await again()
    history = await other.broker.history("r", since=positions[0])
    assert history.kept == before[1:]
    assert history.complete
    assert await publish(other.broker, "r", b"c") == [Position(3, positions[0].epoch)]


async def test_a_durable_broker_knows_keys_again(node: Node, again: Again) -> None:
    kept = await node.broker.publish("r", b"a", key="kept")
    passing = await node.broker.publish("r", b"b", key="passing", keep=False)
    other = await again()
    await other.broker.subscribe("r")
    assert await other.broker.publish("r", b"a", key="kept") == kept
    assert await other.broker.publish("r", b"b", key="passing", keep=False) == passing
    assert await other.delivered_nothing()


async def test_who_was_present_in_a_process_is_not_any_more_when_it_ends(node: Node, again: Again) -> None:
    await node.broker.arrive("r", "m", b"one")
    other = await again()
    assert await other.broker.rooms() == {}


# Presence


async def test_who_arrived_is_present_until_it_departs(broker: Broker) -> None:
    await broker.arrive("r", "m1", b"one")
    await broker.arrive("r", "m2", b"two")
    assert sorted(await broker.present("r")) == [b"one", b"two"]
    assert await broker.rooms() == {"r": 2}
    await broker.depart("r", "m1")
    assert await broker.present("r") == [b"two"]
    await broker.depart("r", "m2")
    assert await broker.present("r") == []
    assert await broker.rooms() == {}


async def test_presence_is_each_rooms_own(broker: Broker) -> None:
    await broker.arrive("one", "m", b"1")
    await broker.arrive("other", "m", b"2")
    await broker.depart("one", "m")
    assert await broker.present("other") == [b"2"]
    assert await broker.rooms() == {"other": 1}


async def test_arriving_again_replaces_what_is_known(broker: Broker) -> None:
    await broker.arrive("r", "m", b"old")
    await broker.arrive("r", "m", b"new")
    assert await broker.present("r") == [b"new"]
    assert await broker.rooms() == {"r": 1}


async def test_departing_from_where_one_is_not_is_nothing(broker: Broker) -> None:
    await broker.depart("r", "m")
    await broker.arrive("r", "m", b"")
    await broker.depart("r", "m")
    await broker.depart("r", "m")
    assert await broker.rooms() == {}


async def test_asking_who_is_present_makes_no_room(broker: Broker) -> None:
    assert await broker.present("r") == []
    await broker.history("r")
    await broker.subscribe("r")
    await publish(broker, "r", b"a")
    assert await broker.rooms() == {}


# Open and close


async def test_a_closed_broker_delivers_nothing_and_can_be_opened_again(node: Node) -> None:
    await node.broker.subscribe("r")
    await node.broker.close()
    await node.open()
    await publish(node.broker, "r", b"a")
    assert await node.delivered_nothing()


async def test_closing_before_opening_and_twice_is_nothing(nodes: Nodes) -> None:
    broker = await nodes.make()
    await broker.close()
    await broker.close()


# Several nodes


async def test_a_publication_reaches_every_subscribed_node_with_one_position(node: Node, other: Node) -> None:
    await node.broker.subscribe("r")
    await other.broker.subscribe("r")
    [position] = await publish(node.broker, "r", b"a")
    assert await node.delivered() == await other.delivered() == ("r", position, b"a")


async def test_history_keys_and_presence_are_shared_by_all_nodes(node: Node, other: Node) -> None:
    first = await node.broker.publish("r", b"a", key="k")
    assert await other.broker.publish("r", b"a", key="k") == first
    assert (await other.broker.history("r")).kept == [(first, b"a")]
    await node.broker.arrive("r", "m1", b"one")
    await other.broker.arrive("r", "m2", b"two")
    assert sorted(await other.broker.present("r")) == [b"one", b"two"]
    assert await node.broker.rooms() == {"r": 2}
