"""Two servers of the chat, of which a proxy has to do as one does, and a client as the chat's page is one."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from roomcast.chat.wire import SUBPROTOCOL

if TYPE_CHECKING:
    import ssl

DEPLOY = Path(__file__).parents[2] / "deploy"
DEADLINE = 30.0
"""Seconds that a wait may take."""


def program(name: str) -> str:
    """Find a program where Debian puts servers, too; without it, the test is skipped."""
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def free_port() -> int:
    """Give a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def replaced(text: str, *changes: tuple[str, str]) -> str:
    """Change a configuration for a test: each thing must be there, or the test is one of something else."""
    for old, new in changes:
        assert old in text, f"{old!r} is not in the configuration any more"
        text = text.replace(old, new)
    return text


async def until_listening(port: int) -> None:
    """Wait until something listens there."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for localhost: chain, key, and both in one file."""
    folder = tmp_path_factory.mktemp("certificate")
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    leaf.private_key_pem.write_to_path(folder / "example.org.key")
    for blob in leaf.cert_chain_pems:
        blob.write_to_path(folder / "example.org.chain", append=True)
    leaf.private_key_and_cert_chain_pem.write_to_path(folder / "example.org.pem")
    return folder


class Page:
    """A client that comes back as the chat's page does: with what it last saw, and what it has not seen arrive.

    Attributes:
        texts: what was said in the room, in the order in which it came.
        lost: how many connections it has lost.
        gaps: how often it was told that something may be missing.
    """

    def __init__(self, url: str, room: str, name: str, tls: ssl.SSLContext | None) -> None:
        self._url = f"{url}/ws/chat?room={room}&name={name}"
        self._tls = tls
        self._since: str | None = None
        self._unseen: dict[str, str] = {}
        self._sent = 0
        self._name = name
        self._socket: Any = None
        self._task: asyncio.Task[None]
        self.texts: list[str] = []
        self.lost = 0
        self.gaps = 0
        self.welcomed = asyncio.Event()
        self.news = asyncio.Event()

    async def say(self, text: str) -> None:
        """Say something: at once, and again where it has not come back by the next connection."""
        self._sent += 1
        key = f"{self._name}-{self._sent:060d}"
        self._unseen[key] = text
        await self._send(key)

    async def has(self, count: int) -> None:
        """Wait until it has heard so much."""
        async with asyncio.timeout(DEADLINE):
            while len(self.texts) < count:
                self.news.clear()
                await self.news.wait()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        async with asyncio.timeout(DEADLINE):
            await self.welcomed.wait()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            url = self._url if self._since is None else f"{self._url}&since={self._since}"
            try:
                async with connect(url, ssl=self._tls, subprotocols=[SUBPROTOCOL], proxy=None) as self._socket:  # type: ignore[list-item]
                    async for frame in self._socket:
                        await self._hear(json.loads(frame))
            except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
                pass
            self.lost += 1
            self._socket = None
            await asyncio.sleep(0.05)

    async def _hear(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "welcome"}:
                if self._since is None:
                    self._since = "{offset}.{epoch}".format(**message["position"])
                self._epoch = message["position"]["epoch"]
                self.gaps += message.get("recovered") is False
                self.welcomed.set()
                for key in list(self._unseen):
                    await self._send(key)
            case {"type": "message", "text": text, "offset": offset}:
                self._since = f"{offset}.{self._epoch}"
                self._unseen.pop(message.get("key", ""), None)
                self.texts.append(text)
                self.news.set()

    async def _send(self, key: str) -> None:
        if self._socket is not None:
            try:
                await self._socket.send(json.dumps({"type": "message", "text": self._unseen[key], "key": key}))
            except ConnectionClosed:
                return
