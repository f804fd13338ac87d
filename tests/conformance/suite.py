"""The Autobahn test suite against the echo app, and what it says of each case."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "build" / "conformance"
INSTALLED = ROOT / ".venvs" / "autobahn"
CLASS = "roomcast.server.uvicorn:WebSocketProtocol"

GROUPS = {
    1: ("framing", 16),
    2: ("pings and pongs", 11),
    3: ("reserved bits", 7),
    4: ("opcodes", 10),
    5: ("fragmentation", 20),
    6: ("UTF-8", 145),
    7: ("closing", 37),
    9: ("limits and performance", 54),
    10: ("automatic fragmentation", 1),
    12: ("compression", 90),
    13: ("compression, by parameters", 126),
}
"""The suite's groups: what each is about, and how many cases it has."""

QUICK = (1, 2, 3, 4, 5, 6, 7, 10)
"""The groups that take seconds."""

UNJUDGED = {"7.1.6", "7.13.1", "7.13.2"}
"""The cases in which RFC 6455 leaves the outcome open: the suite only tells it."""

_CLOSE_OUTCOMES = {"UNCLEAN": "FAILED", "WRONG CODE": "FAILED", "FAILED BY CLIENT": "FAILED", "NO_CLOSE": "FAILED"}


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: such as 6.4.1.
        behavior: the suite's word for what the server did before the close.
        closing: its word for how it closed.
        seconds: how long it took.
    """

    name: str
    behavior: str
    closing: str
    seconds: float

    @property
    def group(self) -> int:
        return int(self.name.partition(".")[0])

    @property
    def outcome(self) -> str:
        """OK, INFORMATIONAL, NON-STRICT, UNIMPLEMENTED or FAILED: of both words the one that is less than OK."""
        if self.behavior in ("OK", "INFORMATIONAL"):
            return (
                self.behavior if self.closing == self.behavior else _CLOSE_OUTCOMES.get(self.closing, self.closing)
            )
        return self.behavior

    @property
    def passed(self) -> bool:
        return self.outcome == ("INFORMATIONAL" if self.name in UNJUDGED else "OK")


@dataclass
class Run:
    """The suite against one server.

    Attributes:
        loop: the event loop that the server runs on: uvloop or asyncio.
        groups: what to run.
        sources: where the server finds the package; None for where it is installed.
        ws: the class that uvicorn loads.
        current: the case that runs, while one does.
        cases: what the suite says, afterwards.
        build: compiled or interpreted, as the server says.
        complaints: what the server, or the suite, printed that it should not have.
    """

    loop: str
    groups: tuple[int, ...] = QUICK
    sources: Path | None = None
    ws: str = CLASS
    current: str = ""
    cases: list[Case] = field(default_factory=list)
    build: str = ""
    complaints: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """A name of its own, for its folder."""
        source = "installed" if self.sources is None else "sources"
        server = source if self.ws == CLASS else self.ws.replace(":", "-")
        return f"{server}-{self.loop}-{'-'.join(map(str, self.groups))}"

    @property
    def problems(self) -> list[str]:
        """What keeps the run from being a success, one line each."""
        counts = Counter(case.group for case in self.cases)
        return [
            *(f"{case.name}: {case.behavior}, {case.closing}" for case in self.cases if not case.passed),
            *(
                f"group {group}: {counts[group]} of {GROUPS[group][1]} cases ran"
                for group in self.groups
                if counts[group] != GROUPS[group][1]
            ),
            *self.complaints,
        ]


def is_installed() -> bool:
    """Whether `scripts/install-autobahn` has been here."""
    return (INSTALLED / "installed.txt").exists()


def copy_sources(folder: Path) -> Path:
    """Copy the package without what was compiled of it, and return what to put on Python's path."""
    copy = folder / "sources"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return copy


async def execute(runs: Iterable[Run], jobs: int) -> None:
    """Execute runs, `jobs` at a time."""
    free = asyncio.Semaphore(jobs)

    async def execute_one(run: Run) -> None:
        async with free:
            await _execute(run)

    async with asyncio.TaskGroup() as group:
        for run in runs:
            group.create_task(execute_one(run))


async def _execute(run: Run) -> None:
    folder = REPORTS / run.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with Program(
        *(sys.executable, "-m", "uvicorn", "tests.conformance.echo:app", "--port", "0"),
        *("--ws", run.ws, "--loop", run.loop, "--lifespan", "on"),
        cwd=ROOT,
        env={} if run.sources is None else {"PYTHONPATH": str(run.sources)},
    ) as server:
        started = await asyncio.to_thread(server.wait_for_line, r"running on http://(127\.0\.0\.1:\d+)")
        run.build = server.wait_for_line(r"The protocol runs (\w+)")[1]
        await _run_suite(run, started[1], folder)
        await asyncio.to_thread(server.terminate)
        (folder / "server.txt").write_text(server.output)
        run.complaints += _first([line for line in server.stderr.splitlines() if not line.startswith("INFO:")])
    index = folder / "index.json"
    if not index.exists():
        run.complaints.append("the suite wrote no report")
        return
    (results,) = json.loads(index.read_text()).values()
    run.cases = [
        Case(name, result["behavior"], result["behaviorClose"], result["duration"] / 1000)
        for name, result in results.items()
    ]


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - 10
    return lines if more <= 0 else [*lines[:10], f"... and {more} lines more"]


async def _run_suite(run: Run, address: str, folder: Path) -> None:
    settings = folder / "settings.json"
    settings.write_text(
        json.dumps(
            {
                "outdir": str(folder),
                "servers": [{"agent": run.name, "url": f"ws://{address}"}],
                "cases": [f"{group}.*" for group in run.groups],
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
        )
    )
    process = await asyncio.create_subprocess_exec(
        *(INSTALLED / "bin" / "wstest", "-m", "fuzzingclient", "-s", settings),
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    log = []
    try:
        async for line in process.stdout:
            log.append(line)
            if line.startswith(b"Running test case ID "):
                run.current = line.split()[4].decode()
        if await process.wait() != 0:
            run.complaints += ["the suite ended with an error:", *(line.decode().rstrip() for line in log[-20:])]
    finally:
        run.current = ""
        if process.returncode is None:
            process.kill()
