"""A real Chromium, and the chat as a program that can be killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    WebSocketRoute,
    expect,
    sync_playwright,
)
from websockets.sync.client import connect

from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

APPS = Path(__file__).parents[1] / "apps"
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

    def start(self, *options: str) -> None:
        self._program = Program.roomcast(
            *("serve", "--port", str(self.port), *options),
            cwd=APPS,
            # `write` is as fast as no person is.
            env={"XDG_STATE_HOME": str(self.state), "ROOMCAST_MESSAGES_PER_SECOND": "off"},
        )
        self._program.__enter__()
        self._program.wait_for_line(f":{self.port}")

    def write(self, texts: Iterable[str], room: str = "general") -> None:
        """Say something in a room, as a plain client that nobody's page shows the writing of."""
        with connect(f"ws://127.0.0.1:{self.port}/ws/chat?room={room}&name=Script") as client:
            for text in texts:
                client.send(text)
                while json.loads(client.recv(timeout=10)).get("text") != text:
                    pass

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


class Line:
    """The way between a page and the chat, which can be cut: after a frame that names `cut_after`, or at once."""

    def __init__(self) -> None:
        self.is_cut = False
        self.cut_after: str | None = None
        self._open: list[WebSocketRoute] = []

    def lead(self, page: WebSocketRoute) -> None:
        """Lead a WebSocket of the page's to the server."""
        if self.is_cut:
            page.close(code=4020, reason="cut")
            return
        server = page.connect_to_server()
        self._open.append(page)

        def pass_on(frame: str | bytes) -> None:
            if self.is_cut:
                return
            page.send(frame)
            if self.cut_after is not None and self.cut_after in str(frame):
                self.cut()

        server.on_message(pass_on)

    def cut(self) -> None:
        """Lose every connection, and let none come up until it is mended."""
        self.is_cut = True
        for page in self._open:
            page.close(code=4020, reason="cut")
        self._open.clear()

    def mend(self) -> None:
        """Let connections come up again."""
        self.is_cut = False
        self.cut_after = None


class Tabs:
    """Opens pages, and notes what goes wrong in them."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._context = context
        self._url = url
        self.errors: list[str] = []

    def open(self, room: str = "general", name: str = "", *, line: Line | None = None, is_up: bool = True) -> Page:
        page = self._context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)
        if line is not None:
            page.route_web_socket("**/ws/chat?*", line.lead)
        page.goto(f"{self._url}/?room={room}")
        if not is_up:
            return page
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


def messages(page: Page) -> Locator:
    """The messages that the server has, as the page shows them."""
    return page.locator('[data-testid="message"][data-pending="false"] [data-testid="message-text"]')


def texts(page: Page) -> list[str]:
    return messages(page).all_inner_texts()
