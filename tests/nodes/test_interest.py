"""A node takes part in the rooms that it has members in, and in no other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roomcast import Rooms
from tests.cluster.clients import Control, Visitor
from tests.cluster.cluster import Cluster
from tests.cluster.servers import url_at

if TYPE_CHECKING:
    from tests.cluster.servers import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARK = b"what the node shall not get"
PUBLICATIONS = 2_000
QUIET = 20_000
"""Bytes that a broker may send to a node for other reasons: a tenth of what is published."""


async def test_a_node_gets_nothing_of_rooms_that_it_has_no_members_in(server: Server) -> None:
    async with Cluster(server.port, lambda port: url_at(server, port), mark=MARK) as cluster:
        await asyncio.gather(cluster.add(), cluster.add())
        idle, busy = cluster.links
        async with Visitor(cluster.urls[1], "elsewhere") as member, Rooms(server.url) as rooms:
            before = idle.received
            data = (MARK + b"." * 100).decode()
            for _ in range(PUBLICATIONS // 100):
                await asyncio.gather(*(rooms.publish("elsewhere", data) for _ in range(100)))
            assert await member.hears(PUBLICATIONS) == [data] * PUBLICATIONS
            assert busy.marked >= PUBLICATIONS
            assert idle.marked == 0
            assert idle.received - before < QUIET
            # And once it has a member there, it does.
            async with Visitor(cluster.urls[0], "elsewhere") as other, Control(cluster.urls[1]) as node:
                await node.call("publish", room="elsewhere", data=data)
                assert await other.hears() == [data]
                assert idle.marked
