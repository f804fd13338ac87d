"""Soak: one episode after the other on two nodes and a Redis, and what became of the processes."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.stage import set_up
from tests.soak.episode import BREAKS, play
from tests.soak.verdict import Bounds, grown
from tests.soak.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.faults.faults import Stage
    from tests.programs import Program

NODE, SECOND_NODE, REDIS = "node 1", "node 2", "Redis"
"""Who is watched."""
KEY_TTL = 60
"""For how many seconds keys are remembered. With an hour, Redis has hundreds of thousands of them in the end, and
looks through all for what has expired: it finds rooms of megabytes only after minutes, and its memory grows."""
OUTAGE = 2.0
"""Seconds for which the network is cut."""
LONG = {NODE: Bounds(6 << 20, 0.05, 4), REDIS: Bounds(128 << 20, 0.05, 8)}
"""How much may come in a soak. A node's heap goes up and down by 2 MiB, as its garbage is collected seldom, and in
five minutes it still warms up by 3. Redis has what was said in the last minute, which follows how busy the machine
is, and its keys. The second node is not judged: it is always a new one."""
SHORT = {NODE: Bounds(24 << 20, 0.05, 8), REDIS: Bounds(128 << 20, 0.05, 16)}
"""How much may come from one episode to the next: only what every client leaves behind is found."""
SYMPTOMS = (
    "Traceback",
    "ResourceWarning",
    "RuntimeWarning",
    "was never awaited",
    "was never retrieved",
    "Task was destroyed",
)
"""What a node prints where it left something behind, or did not expect what came."""
CAREFUL = {"PYTHONWARNINGS": "always::ResourceWarning,always::RuntimeWarning"}
"""Has a node print what it did not close."""


class Result:
    """What came of a soak.

    Attributes:
        watch: what the processes had.
        episodes: how many there were.
        done: how much of what there was.
        failures: of the episodes that failed, why.
        complaints: what the nodes printed that they should not have.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.episodes = 0
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.complaints: list[str] = []

    def problems(self, bounds: Mapping[str, Bounds]) -> list[str]:
        """Say what is wrong: nothing, where nothing was lost and nobody has grown."""
        return [*self.failures, *self.complaints, *grown(self.watch, bounds)]


async def soak(seconds: float, least: int, tell: Callable[[str], None]) -> Result:
    """Play episodes.

    Args:
        seconds: for how long a new one begins.
        least: how many there are at the least.
        tell: is told how each went.
    """
    with tempfile.TemporaryDirectory(prefix="roomcast-soak-") as folder:
        async with (
            set_up("redis", Path(folder), outage=OUTAGE, env=CAREFUL, key_ttl=KEY_TTL) as stage,
            Watch(lambda: _pids(stage)) as watch,
        ):
            result = Result(watch)
            programs: set[Program] = set()
            while watch.seconds < seconds or result.episodes < least:
                programs |= _programs(stage)
                tell(await _episode(stage, result))
            programs |= _programs(stage)
            result.complaints = [line for program in programs for line in _complaints(program.output)]
            return result


async def _episode(stage: Stage, result: Result) -> str:
    start, number = time.monotonic(), result.episodes
    result.episodes += 1
    try:
        done = await play(stage, result.watch, number)
    except (AssertionError, TimeoutError) as error:
        told = f"FAILED {error!r}"
        result.failures.append(f"episode {result.episodes}: {error!r}")
    else:
        told = ", ".join(f"{count} {what}" for what, count in done.items())
        result.done += done
    return f"{result.episodes} {BREAKS[number % len(BREAKS)].title}, {time.monotonic() - start:.1f} s: {told}"


def _pids(stage: Stage) -> dict[str, int]:
    nodes = zip((NODE, SECOND_NODE), stage.cluster.nodes, strict=True)
    return {name: node.program.pid for name, node in nodes if node.url} | {REDIS: stage.server.pid}


def _programs(stage: Stage) -> set[Program]:
    return {node.program for node in stage.cluster.nodes}


def _complaints(output: str) -> list[str]:
    return [line for line in output.splitlines() if any(symptom in line for symptom in SYMPTOMS)]
