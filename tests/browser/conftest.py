"""A real Chromium, and the chat as a program that can be killed and started again."""

from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Without a network beyond loopback, and as root in containers, where Chromium's sandbox cannot be had.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOST = ("net::ERR_", "closed before receiving a handshake response")
"""How Chromium tells in the console that a server is not there, or not any more."""
expect.set_options(timeout=15_000)


class Chat:
    """`roomcast serve` on a port and with a history of its own, which it keeps over a restart.

    Args:
        state: the folder of the history.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._program: Program | None = None

    def start(self) -> None:
        self._program = Program.roomcast(
            "serve", "--port", str(self.port), env={"XDG_STATE_HOME": str(self.state)}
        )
        self._program.__enter__()
        self._program.wait_for_line(f":{self.port}")

    def kill(self) -> None:
        """End it as `kill -9` does: it says goodbye to nobody."""
        if self._program is not None:
            self._program.__exit__(None, None, None)
            self._program = None


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    chat = Chat(tmp_path)
    chat.start()
    yield chat
    chat.kill()


@pytest.fixture(scope="module")  # Playwright keeps an event loop running, in which no other test could run its own
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        missing = "no Chromium on the PATH; on Debian: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class Tabs:
    """Opens pages, and notes what goes wrong in them."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._context = context
        self._url = url
        self.errors: list[str] = []

    def open(self, room: str = "general", name: str = "") -> Page:
        page = self._context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)
        page.goto(f"{self._url}/?room={room}")
        expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected")
        if name:
            take_name(page, name)
        return page

    def _note(self, message: ConsoleMessage) -> None:
        # That a server that was killed does not answer, or breaks off, is what those tests are about.
        if message.type == "error" and not any(lost in message.text for lost in LOST):
            self.errors.append(message.text)


@pytest.fixture
def tabs(browser: Browser, chat: Chat) -> Iterator[Tabs]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    tabs = Tabs(context, chat.url)
    yield tabs
    context.close()
    assert tabs.errors == []


def take_name(page: Page, name: str) -> None:
    page.get_by_test_id("name-input").fill(name)
    page.get_by_test_id("name-input").press("Enter")
    expect(page.get_by_test_id("member").filter(has_text="you").filter(has_text=name)).to_be_attached()


def say(page: Page, text: str) -> None:
    page.get_by_test_id("composer").fill(text)
    page.get_by_test_id("composer").press("Enter")
