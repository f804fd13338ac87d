"""Cross-site WebSocket hijacking, tried by a real page of another origin: another port of the same machine."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Chat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

TRY = """
url => new Promise(resolve => {
  const socket = new WebSocket(url);
  let opened = false;
  socket.onopen = () => { opened = true; socket.send("hijacked"); };
  socket.onmessage = () => resolve("a message");
  socket.onclose = ({ code }) => resolve(opened ? `opened, then ${code}` : `not opened: ${code}`);
})
"""
"""Opens a WebSocket and says something in it, as any page can."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A page that anybody may have put on the web."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>elsewhere</title>")

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_page_of_another_origin_gets_no_websocket(browser: Browser, chat: Chat, elsewhere: str) -> None:
    target = f"{chat.url.replace('http', 'ws')}/ws/chat?room=general"
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(elsewhere)
        assert page.evaluate(TRY, target) == "not opened: 1006"
        page.goto(chat.url)
        expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected")
        assert page.evaluate(TRY, target) == "a message", "the chat's own page may"
        expect(page.get_by_test_id("message-text")).to_have_text(["hijacked"])


def test_a_frame_in_a_sandbox_has_no_origin_and_gets_no_websocket(
    browser: Browser, chat: Chat, elsewhere: str
) -> None:
    target = f"{chat.url.replace('http', 'ws')}/ws/echo"
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(elsewhere)
        page.evaluate(
            """() => { const frame = document.createElement("iframe");
            frame.sandbox = "allow-scripts"; frame.srcdoc = "<p>sandboxed"; document.body.append(frame); }"""
        )
        page.frame_locator("iframe").locator("p").wait_for()
        assert page.frames[1].evaluate("origin") == "null"
        assert page.frames[1].evaluate(TRY, target) == "not opened: 1006"


def test_an_origin_that_is_allowed_gets_one(browser: Browser, tmp_path: Path, elsewhere: str) -> None:
    chat = Chat(tmp_path)
    chat.start("--allow-origin", elsewhere)
    try:
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(elsewhere)
            assert page.evaluate(TRY, f"{chat.url.replace('http', 'ws')}/ws/echo") == "a message"
    finally:
        chat.kill()
