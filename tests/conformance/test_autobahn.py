"""The quick part of the Autobahn test suite, on each event loop; `make conformance` runs all of it.

The suite mostly waits, so all runs go at once.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from roomcast.protocol import compiled
from tests.conformance.suite import QUICK, Run, copy_sources, execute, is_installed

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPS = ("uvloop", "asyncio")
BUILDS = ("compiled", "interpreted") if compiled() else ("interpreted",)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], Run]:
    if not is_installed():
        why = "the Autobahn test suite is not installed: make test does it, where there is a Python 2.7"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    sources = copy_sources(tmp_path_factory.mktemp("interpreted"))
    runs = {
        (build, loop): Run(loop, QUICK, None if build == "compiled" else sources)
        for build in BUILDS
        for loop in LOOPS
    }

    async def execute_all() -> None:
        async with asyncio.timeout(100):
            await execute(runs.values(), len(runs))

    asyncio.run(execute_all())
    return runs


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("build", BUILDS)
def test_every_case_of_the_autobahn_test_suite_is_ok(
    runs: Mapping[tuple[str, str], Run], build: str, loop: str
) -> None:
    run = runs[build, loop]
    assert run.problems == []
    assert run.build == build
