"""The operator's page in a real Chromium: with ten thousand rooms, on two nodes, and with hostile names."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.apps.crowded import HOSTILE
from tests.browser.conftest import APPS
from tests.programs import DEADLINE, Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, ConsoleMessage, Page

TOKEN = "opens-the-page"


class Site:
    """An app with the operator's page, served by a program of its own."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.url = program.wait_for_line(r" on (http://\S+) ")[1]

    def join(self, room: str, **query: str) -> ClientConnection:
        pairs = "&".join(f"{name}={value}" for name, value in {"room": room, **query}.items())
        return connect(f"{self.url.replace('http', 'ws')}/ws?{pairs}")


@contextmanager
def crowded(**env: str) -> Iterator[Site]:
    with Program.roomcast("serve", "crowded:app", "--port", "0", cwd=APPS, env=env) as program:
        yield Site(program)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with crowded() as site:
        yield site


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "net::ERR_" not in message.text:
            errors.append(message.text)

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", note)
    yield page
    context.close()
    assert errors == []


def sign_in(page: Page, site: Site, token: str = TOKEN) -> None:
    page.goto(f"{site.url}/admin/")
    page.get_by_test_id("token").fill(token)
    page.get_by_test_id("sign-in").click()


def choose(page: Page, room: str) -> None:
    page.get_by_test_id("search").fill(room)
    page.get_by_test_id("room-row").filter(has_text=room).click()
    expect(page.get_by_test_id("room-name")).to_have_text(room)


def ended(client: ClientConnection) -> tuple[int, str]:
    """Give the code and the reason with which the server ends a connection."""
    with suppress(ConnectionClosed):
        while True:
            client.recv(timeout=DEADLINE)
    assert client.protocol.close_rcvd is not None
    return client.protocol.close_rcvd.code, client.protocol.close_rcvd.reason


def test_a_wrong_token_shows_nothing_and_the_right_one_outlives_a_reload_but_not_the_tab(
    page: Page, site: Site
) -> None:
    sign_in(page, site, "wrong")
    expect(page.get_by_test_id("token-error")).to_have_text("That is not the token.")
    expect(page.get_by_test_id("rooms")).to_be_hidden()
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]
    sign_in(page, site)
    expect(page.get_by_test_id("status")).to_have_text("Live")
    page.reload()
    expect(page.get_by_test_id("status")).to_have_text("Live")
    assert page.evaluate("[localStorage.length, document.cookie, location.search]") == [0, "", ""]
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("token")).to_be_focused()
    page.reload()
    expect(page.get_by_test_id("token")).to_be_visible()
    assert TOKEN not in site.program.output, "no log has it"


def test_ten_thousand_rooms_are_paged_and_searched_while_the_page_stays_quick(page: Page, site: Site) -> None:
    sign_in(page, site)
    expect(page.locator('[data-total="rooms"] .value')).to_have_text("10,000")
    expect(page.get_by_test_id("room-row")).to_have_count(50)
    expect(page.get_by_test_id("room-row").first).to_contain_text("300")
    page.get_by_role("button", name="Smaller").click()
    expect(page.get_by_test_id("rooms-range")).to_have_text("51\N{EN DASH}100 of 10,000")
    page.get_by_test_id("search").fill("ROOM 0999")
    expect(page.get_by_test_id("rooms-range")).to_have_text("1\N{EN DASH}4 of 4")
    page.get_by_test_id("search").fill("nothing is called so")
    expect(page.get_by_test_id("rooms-range")).to_have_text("No room is called like that")
    page.get_by_test_id("search").fill("")
    expect(page.get_by_test_id("room-row")).to_have_count(50)
    longest = page.evaluate(
        """async () => {
            let longest = 0;
            for (let last = performance.now(), end = last + 3000; last < end;) {
                const now = await new Promise(requestAnimationFrame);
                longest = Math.max(longest, now - last);
                last = now;
            }
            return longest;
        }"""
    )
    assert longest < 1000, "three updates came meanwhile, and no frame waited for all of one"


def test_names_are_text_whatever_they_are(page: Page, site: Site) -> None:
    sign_in(page, site)
    for name, row in zip(HOSTILE, range(6), strict=True):
        expect(page.get_by_test_id("room-row").nth(row).locator(".name")).to_have_text(name.strip())
    page.get_by_test_id("room-row").first.click()
    expect(page.get_by_test_id("member")).to_have_count(50)
    expect(page.get_by_test_id("member").first.locator(".name")).to_have_text(HOSTILE[0])
    page.get_by_test_id("disconnect").first.click()
    page.get_by_test_id("confirm-no").click()
    page.get_by_test_id("close-room").click()
    expect(page.get_by_test_id("confirm")).to_contain_text(HOSTILE[0])
    assert page.evaluate("window.ran") is None


def test_it_fits_a_narrow_screen_and_a_dark_one(page: Page, site: Site) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    sign_in(page, site)
    page.get_by_test_id("room-row").nth(3).click()
    expect(page.get_by_test_id("member").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light dark"


def test_a_user_is_disconnected_once_it_was_asked_twice(page: Page, site: Site) -> None:
    with site.join("here", user="ada", name="Ada") as ada, site.join("here", user="bob", name="Bob") as bob:
        sign_in(page, site)
        choose(page, "here")
        page.get_by_test_id("member").filter(has_text="Ada").get_by_test_id("disconnect").click()
        expect(page.get_by_test_id("confirm")).to_contain_text("Disconnect ada?")
        expect(page.get_by_test_id("confirm-no")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("confirm")).to_be_hidden()
        ada.ping().wait(DEADLINE)
        page.get_by_test_id("member").filter(has_text="Ada").get_by_test_id("disconnect").click()
        page.get_by_test_id("confirm-input").fill("enough now")
        page.get_by_test_id("confirm-yes").click()
        assert ended(ada) == (4005, "enough now")
        expect(page.get_by_test_id("toast")).to_contain_text("closed")
        page.mouse.move(1, 1)
        page.get_by_test_id("user").fill("bob")
        expect(page.get_by_test_id("member")).to_have_count(1)
        page.get_by_test_id("disconnect-user").click()
        page.get_by_test_id("confirm-yes").click()
        assert ended(bob) == (4005, "")


def test_a_member_of_no_user_is_disconnected_alone(page: Page, site: Site) -> None:
    with site.join("alone", name="Eve") as eve, site.join("alone", name="Zoe") as zoe:
        sign_in(page, site)
        choose(page, "alone")
        page.get_by_test_id("member").filter(has_text="Eve").get_by_test_id("disconnect").click()
        page.get_by_test_id("confirm-yes").click()
        assert ended(eve)[0] == 4005
        zoe.ping().wait(DEADLINE)


def test_a_notice_reaches_a_room_and_the_room_is_closed(page: Page, site: Site) -> None:
    with site.join("noted") as client:
        sign_in(page, site)
        choose(page, "noted")
        page.get_by_test_id("notice-room").click()
        expect(page.get_by_test_id("confirm-input")).to_be_focused()
        page.get_by_test_id("confirm-input").fill("Back at <b>nine</b>")
        page.get_by_test_id("confirm-yes").click()
        told = json.loads(client.recv(timeout=DEADLINE))
        assert told == {"type": "notice", "text": "Back at <b>nine</b>", "from": "Operator"}
        expect(page.get_by_test_id("confirm")).to_be_hidden()
        page.get_by_test_id("close-room").click()
        expect(page.get_by_test_id("confirm")).to_contain_text("one member")
        page.get_by_test_id("confirm-yes").click()
        assert ended(client) == (4006, "the room was closed")


def test_nodes_are_seen_to_come_and_go_and_the_page_survives_its_own(page: Page, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with ExitStack() as stack:
        redis = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        stack.callback(redis.kill)
        wait_for(port)
        env = {"ROOMCAST_BROKER": f"redis://127.0.0.1:{port}", "CROWDED_ROOMS": "6"}
        site = stack.enter_context(crowded(**env))
        sign_in(page, site)
        expect(page.get_by_test_id("node")).to_have_count(1)
        with crowded(**env) as other, other.join("far", name="Far") as far:
            expect(page.get_by_test_id("node")).to_have_count(2)
            choose(page, "far")
            page.get_by_test_id("member").get_by_test_id("disconnect").click()
            page.get_by_test_id("confirm-yes").click()
            assert ended(far)[0] == 4005
            other.program.terminate()
        expect(page.locator(".gone")).to_contain_text("Gone")
        redis.kill()
        expect(page.get_by_test_id("trouble")).to_contain_text("cannot be reached")
        site.program.send_signal(signal.SIGKILL)
        expect(page.get_by_test_id("status")).to_contain_text("Connection lost")
        page.context.set_offline(True)
        expect(page.get_by_test_id("status")).to_contain_text("Offline")


def wait_for(port: int) -> None:
    """Wait until something listens on a port."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            return


def test_the_chat_has_the_page_where_there_is_a_token_for_it(page: Page) -> None:
    with Program.roomcast(
        "serve", "--port", "0", "--broker", "memory://", cwd=APPS, env={"ROOMCAST_ADMIN_TOKEN": TOKEN}
    ) as program:
        url = program.wait_for_line(r" on (http://\S+) ")[1]
        chatting = page.context.new_page()
        chatting.goto(f"{url}/?room=general")
        expect(chatting.get_by_test_id("status")).to_have_attribute("data-state", "connected")
        page.bring_to_front()
        page.goto(f"{url}/admin")
        page.get_by_test_id("token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.get_by_test_id("notice-all").click()
        page.get_by_test_id("confirm-yes").click()
        page.get_by_test_id("confirm-input").fill("Back at nine")
        page.get_by_test_id("confirm-yes").click()
        expect(page.get_by_test_id("toast")).to_have_text("The notice is published in all rooms, 1 now.")
        expect(chatting.get_by_test_id("message").filter(has_text="Back at nine")).to_contain_text("Operator")
        choose(page, "general")
        page.get_by_test_id("member").get_by_test_id("disconnect").click()
        page.get_by_test_id("confirm-yes").click()
        expect(chatting.get_by_test_id("status")).to_have_attribute("data-state", "closed")
