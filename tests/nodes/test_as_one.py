"""Several processes on one broker are one: whatever happens in a room reaches everyone, whoever serves them."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.cluster.clients import Control, Visitor
from tests.cluster.cluster import Node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.cluster.servers import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOMS = itertools.count(1)
MOST_STRAYS = 200
"""How many connections may come to the same process in a row."""


class Site:
    """Processes that serve the same rooms.

    Args:
        urls: where they are: one URL of all, or one of each.
    """

    def __init__(self, *urls: str) -> None:
        self._here, self._there = urls[0], urls[-1]

    async def controls(self, stack: AsyncExitStack) -> tuple[Control, Control]:
        """Give a connection to each of two processes."""
        here = await stack.enter_async_context(Control(self._here))
        pid = await here.call("node")
        for _ in range(MOST_STRAYS):
            there = await stack.enter_async_context(Control(self._there))
            if await there.call("node") != pid:
                return here, there
        raise AssertionError("all connections came to one process")

    async def visitors(
        self, stack: AsyncExitStack, room: str, *, notices: bool = False, user: str | None = None
    ) -> tuple[Visitor, Visitor]:
        """Give two members of a room, Ada here and Bob there."""
        more = {} if user is None else {"user": user}
        ada = await stack.enter_async_context(Visitor(self._here, room, notices=notices, name="ada", **more))
        for _ in range(MOST_STRAYS):
            bob = await Visitor(self._there, room, notices=notices, name="bob", **more).__aenter__()
            if notices:
                assert await ada.receive() == {"joined": "bob"}
            if bob.welcome["pid"] != ada.welcome["pid"]:
                stack.push_async_exit(bob)
                return ada, bob
            await bob.__aexit__()
            if notices:
                assert await ada.receive() == {"left": "bob"}
        raise AssertionError("all connections came to one process")

    async def returned(self, stack: AsyncExitStack, visitor: Visitor, room: str, since: str) -> Visitor:
        """Give a member that comes back to another process than it was on."""
        for _ in range(MOST_STRAYS):
            back = await Visitor(self._there, room, since=since).__aenter__()
            if back.welcome["pid"] != visitor.welcome["pid"]:
                stack.push_async_exit(back)
                return back
            await back.__aexit__()
        raise AssertionError("all connections came to one process")


@pytest_asyncio.fixture(scope="module", params=["ports", "workers"], loop_scope="module")
async def site(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Site]:
    options = [["--workers", "4"]] if request.param == "workers" else [[], []]
    nodes = [Node(server.url, *more) for more in options]
    try:
        await asyncio.gather(*(node.start() for node in nodes))
        yield Site(*(node.url for node in nodes))
        for node in nodes:
            await node.stop()
            assert "Traceback" not in node.program.output, node.program.output
    finally:
        for node in nodes:
            await node.close()


@pytest.fixture
def room() -> str:
    """A room of the test's own, with a name that no broker would choose."""
    return f"room {next(ROOMS)} *.> ☃"


async def test_members_hear_who_comes_and_goes(site: Site, room: str) -> None:
    async with AsyncExitStack() as stack:
        ada, bob = await site.visitors(stack, room, notices=True)
        await bob.leave()
        assert await ada.receive() == {"left": "bob"}
    async with AsyncExitStack() as stack:
        ada, bob = await site.visitors(stack, f"{room}, again", notices=True)
        bob.vanish()
        assert await ada.receive() == {"left": "bob"}


async def test_members_hear_the_same_in_the_same_order(site: Site, room: str) -> None:
    async with AsyncExitStack() as stack:
        ada, bob = await site.visitors(stack, room)
        controls = await site.controls(stack)
        texts = [f"{number}" for number in range(100)]
        await asyncio.gather(
            *(controls[number % 2].call("publish", room=room, data=text) for number, text in enumerate(texts))
        )
        heard = [await ada.receive() for _ in texts]
        assert [await bob.receive() for _ in texts] == heard
        assert sorted(said["data"] for said in heard) == sorted(texts)
        offsets = [int(said["at"].partition(".")[0]) for said in heard]
        assert offsets == list(range(1, 101))


async def test_what_is_not_kept_reaches_all(site: Site, room: str) -> None:
    async with AsyncExitStack() as stack:
        ada, bob = await site.visitors(stack, room)
        here, there = await site.controls(stack)
        await here.call("publish", room=room, data="now", keep=False)
        for visitor in (ada, bob):
            assert await visitor.receive() == {"data": "now", "at": None}
        assert await there.call("history", room=room) == []


async def test_each_knows_all_who_are_there(site: Site, room: str) -> None:
    async with AsyncExitStack() as stack:
        controls = await site.controls(stack)
        await site.visitors(stack, room)
        for node in controls:
            assert sorted(await node.call("members", room=room)) == ["ada", "bob"]
            assert await node.call("count", room=room) == 2
            assert (await node.call("active"))[room] == 2


async def test_the_processes_know_each_other(site: Site) -> None:
    async with AsyncExitStack() as stack:
        here, there = await site.controls(stack)
        pids = {(await node.call("node"))["pid"] for node in (here, there)}
        for node in (here, there):
            assert pids <= set(await node.call("nodes"))


async def test_each_has_the_same_history(site: Site, room: str) -> None:
    async with AsyncExitStack() as stack:
        controls = await site.controls(stack)
        for number in range(10):
            await controls[number % 2].call("publish", room=room, data=str(number))
        for node in controls:
            assert await node.call("history", room=room) == [str(number) for number in range(10)]
        here, there = controls
        assert await here.call("position", room=room) == await there.call("position", room=room)


async def test_a_key_counts_once_wherever_it_comes(site: Site, room: str) -> None:
    async with AsyncExitStack() as stack:
        here, there = await site.controls(stack)
        positions = await asyncio.gather(
            *(node.call("publish", room=room, data="once", key="k") for node in (here, there, here, there))
        )
        assert len(set(positions)) == 1
        assert await here.call("history", room=room) == ["once"]


async def test_who_comes_back_elsewhere_gets_what_it_missed(site: Site, room: str) -> None:
    async with AsyncExitStack() as stack:
        here, there = await site.controls(stack)
        ada, _bob = await site.visitors(stack, room)
        await here.call("publish", room=room, data="before")
        since = (await ada.receive())["at"]
        await ada.leave()
        for number in range(5):
            await (here, there)[number % 2].call("publish", room=room, data=str(number))
        back = await site.returned(stack, ada, room, since)
        assert back.welcome["recovered"] is True
        assert await back.hears(5) == ["0", "1", "2", "3", "4"]
        await there.call("publish", room=room, data="after")
        assert await back.hears() == ["after"]


async def test_a_user_is_reached_on_all_its_connections(site: Site, room: str) -> None:
    user = f"user of {room}"
    async with AsyncExitStack() as stack:
        here, there = await site.controls(stack)
        visitors = await site.visitors(stack, room, user=user)
        others = await site.visitors(stack, room)
        await here.call("send_to", user=user, data="from here")
        await there.call("send_to", user=user, data="from there")
        for visitor in visitors:
            assert {await visitor.receive(), await visitor.receive()} == {"from here", "from there"}
        await here.call("publish", room=room, data="to all")
        for visitor in (*visitors, *others):
            assert await visitor.hears() == ["to all"]


async def test_a_user_is_disconnected_everywhere(site: Site, room: str) -> None:
    user = f"user of {room}"
    async with AsyncExitStack() as stack:
        here, _there = await site.controls(stack)
        visitors = await site.visitors(stack, room, user=user)
        other, _ = await site.visitors(stack, room)
        await here.call("disconnect", user=user, code=4005, reason="enough")
        for visitor in visitors:
            assert await visitor.closed() == (4005, "enough")
        await here.call("publish", room=room, data="to the others")
        assert await other.hears() == ["to the others"]


async def test_a_room_is_closed_everywhere(site: Site, room: str) -> None:
    async with AsyncExitStack() as stack:
        here, there = await site.controls(stack)
        visitors = await site.visitors(stack, room)
        await there.call("close", room=room)
        for visitor in visitors:
            assert await visitor.closed() == (4006, "the room was closed")
        await _until_empty(here, room)


async def _until_empty(node: Control, room: str) -> None:
    """Wait until nobody is in a room: its members leave once their connections are closed."""
    async with asyncio.timeout(5):
        while await node.call("count", room=room):  # noqa: ASYNC110 - the state of another process has no event
            await asyncio.sleep(0.01)
