"""What every broker does, in one process or many.

A broker takes part by a `Nodes`: it makes brokers that share their rooms where the implementation can do that.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import pytest

from roomcast import Position
from roomcast.rooms.brokers.memory import MemoryBroker
from tests.rooms.guests import DEADLINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roomcast.rooms import Broker


class Node:
    """A broker as one process has it, and what it delivered there."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._delivered: asyncio.Queue[tuple[str, Position | None, bytes]] = asyncio.Queue()

    async def open(self) -> None:
        await self.broker.open(lambda room, position, data: self._delivered.put_nowait((room, position, data)))

    async def delivered(self) -> tuple[str, Position | None, bytes]:
        """Wait for the next delivery."""
        return await asyncio.wait_for(self._delivered.get(), DEADLINE)

    async def delivered_nothing(self) -> bool:
        """Whether nothing has been delivered that was published until now: a last publication comes first."""
        await self.broker.subscribe("the end")
        await self.broker.publish("the end", b"")
        return (await self.delivered())[0] == "the end"


class Nodes(ABC):
    """Makes the brokers of a test, each a node of its own."""

    @abstractmethod
    async def make(self) -> Broker:
        """Make one more broker, which shares its rooms with the others where `many_processes` says so."""

    @abstractmethod
    async def end(self) -> None:
        """Clean up after the test."""


class MemoryNodes(Nodes):
    """A broker in memory is a node for itself, and leaves nothing to clean up."""

    async def make(self) -> Broker:
        return MemoryBroker()

    async def end(self) -> None:
        return


@pytest.fixture(params=[MemoryNodes], ids=["memory"])
async def nodes(request: pytest.FixtureRequest) -> AsyncIterator[Nodes]:
    nodes: Nodes = request.param()
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
