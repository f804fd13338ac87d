"""The nodes that share a broker."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import replace
from importlib.metadata import version

import pytest

from roomcast import NodeInfo, Rooms, RoomsClosed
from roomcast.rooms import nodes
from roomcast.rooms.names import NODES
from tests.rooms.guests import DEADLINE, Guest, settled


async def test_a_node_says_what_it_is_and_how_many_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "INTERVAL", 0.001)
    async with Rooms("memory://") as rooms:
        (node,) = await rooms.nodes()
        assert (node.version, node.host, node.pid) == (version("roomcast"), socket.gethostname(), os.getpid())
        assert abs(node.since - time.time()) < 60
        assert (node.members, node.rooms) == (0, 0)
        guests = [await Guest(rooms, room).enter() for room in ("a", "a", "b")]
        assert all(guest.member.id.startswith(node.id) for guest in guests)
        async with asyncio.timeout(DEADLINE):
            while (again := await rooms.nodes()) != [replace(node, members=3, rooms=2)]:
                await settled()
        assert again[0].id == node.id
        assert await rooms.active() == {"a": 2, "b": 1}, "the channel of the nodes is no room"
        for guest in guests:
            await guest.leave()


async def test_a_node_that_closes_is_gone() -> None:
    rooms = Rooms("memory://")
    assert not rooms.reachable
    async with rooms:
        assert rooms.reachable
        broker = rooms._broker
        assert len(await broker.present(NODES)) == 1
        await rooms._beacon.put_out()
        assert await broker.present(NODES) == []
    assert not rooms.reachable
    with pytest.raises(RoomsClosed):
        await rooms.nodes()


def test_a_later_version_may_tell_more() -> None:
    told = b'{"id":"a","version":"9","host":"h","pid":1,"since":0,"members":1,"rooms":2,"load":3}'
    assert NodeInfo.from_bytes(told) == NodeInfo("a", "9", "h", 1, 0, 1, 2)
