from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.servers import SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.servers import Server


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A broker's server: the tests of all nodes share it, in rooms of their own."""
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as server:
        yield server
