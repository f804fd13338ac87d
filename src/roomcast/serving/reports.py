"""Reports: what each process of a node says of itself, to the one that answers for the node.

A process that serves listens on a Unix socket in a folder that only this user can enter. It answers a question of
one line with JSON, and closes.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY

from roomcast.health import health
from roomcast.metrics import RoomcastCollector
from roomcast.serving.samples import Families, families_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

TIMEOUT = 2.0
"""How many seconds a process may take for its report: one whose event loop stands still for longer is not
ready."""
MOST_BYTES = 16 << 20
"""How long a report may be."""
_NODE = "node"


class OwnReport:
    """The report of this process."""

    async def metrics(self) -> Families:
        """Give what it counts: the app's own metrics, and Roomcast's."""
        return families_of(REGISTRY, RoomcastCollector())

    async def problems(self) -> list[str]:
        """Give what speaks against new connections."""
        return health.problems()


class NodeReport:
    """The report of all processes of a node, asked for by the one that started them.

    What a process counted is kept when it has ended, as far as it was ever asked for: so no sum goes down.

    Args:
        folder: where the processes listen.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._latest: dict[str, Families] = {}
        self._past = Families()

    async def metrics(self) -> Families:
        """Give the sum of what all have counted."""
        answers = await self._ask_all("metrics")
        for name in set(self._latest) - set(answers):
            self._past = Families.sum([self._past, self._latest.pop(name).counted()])
        for name, answer in answers.items():
            if answer is not None:
                self._latest[name] = Families.from_json(answer)
        return Families.sum([self._past, *self._latest.values()])

    async def problems(self) -> list[str]:
        """Give what speaks against new connections, in any process: one that does not answer is a problem, too."""
        answers = (await self._ask_all("problems")).values()
        if not answers:
            return ["no worker serves"]
        found = ["a worker does not answer"] if None in answers else []
        found += [problem for answer in answers if answer is not None for problem in answer]
        return list(dict.fromkeys(found))

    async def _ask_all(self, question: str) -> dict[str, Any]:
        """Ask every process; None is for those that run, and did not answer in time."""
        names = [path.name for path in self._folder.iterdir() if path.name.isdigit()]
        answers = await asyncio.gather(
            *(ask(self._folder / name, question) for name in names), return_exceptions=True
        )
        found = {}
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, ConnectionError | FileNotFoundError):  # it has ended, whatever it left behind
                (self._folder / name).unlink(missing_ok=True)
            else:
                found[name] = None if isinstance(answer, BaseException) else answer
        return found


class RemoteReport:
    """The report of the whole node, for one of its processes.

    Args:
        folder: where the process that answers for the node listens.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NODE

    async def metrics(self) -> Families:
        """Give the sum of what all have counted."""
        return Families.from_json(await ask(self._path, "metrics"))


async def report_here(folder: Path) -> asyncio.Server:
    """Report for this process, until the server that is given is closed."""
    return await _listen(folder / str(os.getpid()), OwnReport())


async def report_for_node(folder: Path, report: NodeReport) -> asyncio.Server:
    """Report for the node, until the server that is given is closed."""
    return await _listen(folder / _NODE, report)


async def ask(path: Path, question: str) -> Any:  # noqa: ANN401 - JSON
    """Ask the process that listens at `path`.

    Raises:
        OSError: there is none, or it went in between; TimeoutError: it did not answer in time.
    """
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(question.encode() + b"\n")
            answer = await reader.read(MOST_BYTES)
            while not reader.at_eof() and len(answer) < MOST_BYTES:
                answer += await reader.read(MOST_BYTES)
        finally:
            writer.close()
    if not answer:
        raise ConnectionResetError("it went before it answered")
    return json.loads(answer)


async def _listen(path: Path, report: OwnReport | NodeReport) -> asyncio.Server:
    questions: dict[bytes, Callable[[], Awaitable[Any]]] = {
        b"metrics\n": lambda: _as_json(report),
        b"problems\n": report.problems,
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(TIMEOUT * 2):
                question = await reader.readline()
                if question in questions:
                    writer.write(json.dumps(await questions[question]()).encode())
                    await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(answer, path)


async def _as_json(report: OwnReport | NodeReport) -> list[Any]:
    return (await report.metrics()).to_json()
