"""Every outlet that the contract of outlets is held on, and the servers that they are of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from tests.contracts.outlets.asgi import AsgiWire
from tests.contracts.outlets.foreign import Daphne, ForeignWire, Granian, Hypercorn, UvicornSansio, UvicornWsproto
from tests.contracts.outlets.ours import OurWire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from tests.contracts.outlets.wire import Wire

WIRES: dict[str, Any] = {
    "asgi": AsgiWire,
    "ours": OurWire,
    "uvicorn-websockets": UvicornSansio,
    "uvicorn-wsproto": UvicornWsproto,
    "hypercorn": Hypercorn,
    "granian": Granian,
    "daphne": Daphne,
}


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # noqa: ARG001 - the hook's signature
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if "kind" in getattr(item, "fixturenames", ()) or "wire" in getattr(item, "fixturenames", ()):
        loops["uvloop"] = uvloop.new_event_loop
    return loops


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Hold each outlet to what is said of it, on each event loop that it runs on."""
    chosen = [item for item in items if _is_meant(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def _is_meant(item: pytest.Item) -> bool:
    parameters: dict[str, Any] = (
        item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    )
    kind = parameters.get("kind")
    if kind is None or kind not in WIRES.values():
        return True  # another directory's: pytest asks for all items
    names = item.fixturenames  # type: ignore[attr-defined]
    if ("stalled" in names and not kind.holds_back) or ("unstallable" in names and kind.holds_back):
        return False
    # A server of others runs in a process, and on an event loop, of its own.
    return not (issubclass(kind, ForeignWire) and uvloop.new_event_loop in parameters.values())


@pytest.fixture(scope="session", params=list(WIRES.values()), ids=list(WIRES))
def kind(request: pytest.FixtureRequest) -> Any:
    """A class of wires."""
    return request.param


@pytest.fixture(scope="session")
def address(kind: type[Wire]) -> Iterator[tuple[str, int] | None]:
    """Where its server is, if it is a program."""
    if issubclass(kind, ForeignWire):
        with kind.program.running() as address:
            yield address
    else:
        yield None


@pytest.fixture
async def wire(kind: Any, address: tuple[str, int] | None) -> AsyncIterator[Wire]:
    wire: Wire = await kind.open(address)
    yield wire
    await wire.end()


@pytest.fixture
async def stalled(wire: Wire) -> Wire:
    """A wire whose peer reads nothing, so that what is offered waits. Only of servers that hold back."""
    assert await wire.stall() > 0
    return wire


@pytest.fixture
async def unstallable(wire: Wire) -> Wire:
    """A wire whose peer reads nothing, of a server that does not hold back."""
    assert await wire.stall() == 0
    return wire
