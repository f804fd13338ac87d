"""Rooms in a stream: many nodes at once, what is removed, and how it is named."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast import BrokerUnavailable, Position, Retention
from roomcast.rooms.brokers.nats import epochs
from roomcast.rooms.brokers.nats.subjects import Subjects, name_of, token_of
from roomcast.rooms.retention import Retentions
from tests.brokers.nats_server import NatsServer, needs_nats
from tests.rooms.guests import DEADLINE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rooms.brokers.nats.conftest import NatsNode, Open

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=255)


@given(NAMES)
def test_any_name_is_one_token_of_a_subject_and_can_be_read_again(name: str) -> None:
    token = token_of(name)
    assert name_of(token) == name
    assert token.isascii()
    assert not set(token) & set(" .*>\t\r\n\0")
    assert len(Subjects("p" * 64).member("0" * 12, name, "m" * 32)) < 2000


def test_plain_names_are_readable() -> None:
    assert Subjects("roomcast").log("general") == "roomcast.log.general"
    assert token_of("=") != "="


pytestmark = pytest.mark.filterwarnings("error")


async def stored(node: NatsNode, room: str = "r") -> int:
    """Count the messages that the stream has of a room."""
    broker = node.broker
    return (await broker._log.stream.subjects(broker._subjects.log(room))).get(broker._subjects.log(room), 0)


@needs_nats
async def test_nodes_that_publish_in_one_room_at_once_get_offsets_without_gaps(opened: Open) -> None:
    nodes = [await opened() for _ in range(3)]
    listener = await opened()
    await listener.broker.subscribe("r")
    await nodes[0].broker.subscribe("r")

    async def talk(node: NatsNode, name: str) -> list[int]:
        return [(await node.broker.publish("r", b"%s%d" % (name.encode(), number))).offset for number in range(40)]

    talks = await asyncio.gather(
        *(talk(node, f"{letter}{index}") for index, node in enumerate(nodes) for letter in "ab")
    )
    assert sorted(offset for offsets in talks for offset in offsets) == list(range(1, 241))
    delivered = [await listener.delivered() for _ in range(240)]
    assert [position.offset for _, position, _ in delivered if position] == list(range(1, 241))
    assert (await nodes[2].broker.history("r")).kept == [(position, payload) for _, position, payload in delivered]
    for name in ("a0", "b0", "a1", "b1", "a2", "b2"):
        said = [payload.decode() for _, _, payload in delivered if payload.startswith(name.encode())]
        assert said == [f"{name}{number}" for number in range(40)]


@needs_nats
async def test_keys_hold_on_all_nodes_at_once(opened: Open) -> None:
    nodes = [await opened() for _ in range(3)]
    positions = await asyncio.gather(
        *(node.broker.publish("r", b"", key=f"{number % 5}") for node in nodes for number in range(20))
    )
    assert {position.offset for position in positions} == {1, 2, 3, 4, 5}


@needs_nats
async def test_what_is_kept_no_more_is_removed_in_time(opened: Open) -> None:
    few = await opened(retentions=Retentions(Retention(size=10, bytes=1 << 20, age=600)))
    for _ in range(300):
        await few.broker.publish("r", b"")
    assert 10 <= await stored(few) <= 10 + 64 + 5
    assert len((await few.broker.history("r")).kept) == 10
    little = await opened(retentions=Retentions(Retention(size=1000, bytes=100_000, age=600)))
    for _ in range(100):
        await little.broker.publish("s", bytes(10_000))
    assert 10 <= await stored(little, "s") <= 10 + 26 + 3
    assert len((await little.broker.history("s")).kept) == 10


@needs_nats
async def test_what_others_have_left_is_removed_too(opened: Open) -> None:
    for _ in range(3):
        node = await opened()
        for _ in range(60):
            await node.broker.publish("r", b"")
    few = await opened(retentions=Retentions(Retention(size=10, bytes=1 << 20, age=600)))
    await few.broker.publish("r", b"")
    assert await stored(few) == 181
    for _ in range(63):
        await few.broker.publish("r", b"")
    async with asyncio.timeout(DEADLINE):
        while await stored(few) > 10 + 64 + 5:  # noqa: ASYNC110 - what is waited for is state
            await asyncio.sleep(0)
    assert (await few.broker.history("r")).position.offset == 244


@needs_nats
async def test_a_room_that_keeps_nothing_goes_on_counting(opened: Open) -> None:
    node = await opened(retentions=Retentions(Retention(size=0, bytes=0, age=600)))
    positions = [await node.broker.publish("r", b"x") for _ in range(200)]
    other = await opened()
    assert (await other.broker.publish("r", b"x")) == Position(201, positions[0].epoch)
    assert await stored(node) <= 64 + 5


@needs_nats
async def test_a_long_history_is_read_from_anywhere(opened: Open) -> None:
    node = await opened(retentions=Retentions(Retention(size=2000, bytes=1 << 24, age=600)))
    for _ in range(20):
        await asyncio.gather(*(node.broker.publish("r", b"x" * 100) for _ in range(15)))
        await node.broker.publish("other", b"")
    for number in range(300):
        await node.broker.publish("r", b"%d" % number)
    other = await opened(retentions=Retentions(Retention(size=2000, bytes=1 << 24, age=600)))
    for reader in (node, other):  # one that knows where things are, and one that does not
        newest = (await reader.broker.history("r", limit=0)).position
        assert newest.offset == 600
        for offset in (0, 1, 150, 299, 300, 301, 550, 598, 600):
            history = await reader.broker.history("r", since=Position(offset, newest.epoch))
            assert [position.offset for position, _ in history.kept] == list(range(offset + 1, 601))
            assert history.complete
        newest_first = await reader.broker.history("r", limit=400, reverse=True)
        assert [position.offset for position, _ in newest_first.kept] == list(range(600, 200, -1))


@needs_nats
async def test_more_than_the_server_takes_is_told_of_and_publishes_nothing(tmp_path: Path, opened: Open) -> None:
    with NatsServer(tmp_path, "max_payload: 64KB") as server:
        node = await opened(server)
        for keep in (True, False):
            with pytest.raises(
                BrokerUnavailable, match="has 65000 bytes, and the NATS server takes 61440: raise max_p"
            ):
                await node.broker.publish("r", bytes(65_000), keep=keep)
        together = [node.broker.publish("r", bytes(30_000)) for _ in range(6)]
        assert [position.offset for position in await asyncio.gather(*together)] == [1, 2, 3, 4, 5, 6]
        await node.broker.close()


@needs_nats
async def test_a_full_server_is_told_of(tmp_path: Path, opened: Open) -> None:
    with NatsServer(tmp_path, jetstream=False) as server:
        server.stop()
        server.configure(f"jetstream {{ store_dir: {tmp_path}, max_file_store: 100KB }}")
        server.start()
        node = await opened(server)

        async def fill() -> None:
            for _ in range(100):
                await node.broker.publish("r", bytes(10_000))

        with pytest.raises(BrokerUnavailable, match=r"its storage is full \(.*\): give it more, or keep less"):
            await fill()
        assert (await node.broker.history("r")).position.offset >= 5
        await node.broker.close()


@needs_nats
async def test_a_node_that_reads_too_slowly_is_cut_off_and_told_that_it_missed_something(
    tmp_path: Path, opened: Open
) -> None:
    with NatsServer(tmp_path, "max_pending: 1MB", 'write_deadline: "1s"') as server:
        slow, node = await opened(server), await opened(server)
        await slow.broker.subscribe("r")
        connection = slow.broker._link._connection  # type: ignore[union-attr]
        transport = connection._transport._io_writer.transport  # type: ignore[union-attr]
        transport.pause_reading()
        for _ in range(80):
            await node.broker.publish("r", bytes(200_000))
        transport.resume_reading()
        await slow.has_returned()
        await node.broker.publish("r", b"after")
        while (await slow.delivered())[2] != b"after":
            continue
        await slow.broker.close()
        await node.broker.close()


@needs_nats
async def test_only_rooms_that_are_subscribed_are_sent_to_a_node(opened: Open) -> None:
    node, other = await opened(), await opened()
    await other.broker.subscribe("here")
    await other.broker.publish("here", b"")
    before = other.broker._link._connection.stats["in_msgs"]  # type: ignore[union-attr]
    for _ in range(200):
        await node.broker.publish("elsewhere", b"", keep=True)
    await node.broker.publish("here", b"")
    for _ in range(2):
        await other.delivered()
    assert other.broker._link._connection.stats["in_msgs"] - before < 10  # type: ignore[union-attr]


@needs_nats
async def test_who_was_in_an_empty_room_has_missed_nothing_when_days_have_passed(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await opened()
    empty = (await node.broker.history("r")).position
    now = time.time()
    monkeypatch.setattr(epochs, "time", SimpleNamespace(time=lambda: now + 3 * 86400.0))
    later = (await node.broker.history("r")).position
    assert later.offset == empty.offset == 0
    assert later.epoch != empty.epoch
    first = await node.broker.publish("r", b"a")
    assert first == Position(1, later.epoch)
    for since in (empty, later):
        history = await node.broker.history("r", since=since)
        assert (history.kept, history.complete) == ([(first, b"a")], True)
    monkeypatch.setattr(epochs, "time", SimpleNamespace(time=lambda: now + 9 * 86400.0))
    assert not (await node.broker.history("r", since=empty)).complete


@needs_nats
async def test_what_others_store_in_a_room_is_told_of_and_carried_to_nobody(opened: Open) -> None:
    node = await opened()
    await node.broker.subscribe("r")
    stored = await node.broker._log.stream.put(node.broker._subjects.log("r"), b"hello")
    for asking in (node.broker.publish("r", b"a"), node.broker.history("r")):
        with pytest.raises(BrokerUnavailable, match=f"message {stored.sequence} of the log is none of Roomcast's"):
            await asking
    await node.broker._log.stream.remove(stored.sequence)
    position = await node.broker.publish("r", b"a")
    assert await node.delivered() == ("r", position, b"a")
