"""What a page shows that was away: over networks that are lost, and of servers that keep little or start again."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Chat, Tabs, messages, say, texts
from tests.browser.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext

MISSING = "Some messages may be missing here"


@pytest.fixture
def proxy(chat: Chat) -> Iterator[Proxy]:
    with Proxy(chat.port) as proxy:
        yield proxy


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(locale="en-GB") as context:
        yield context


@pytest.fixture
def far(context: BrowserContext, proxy: Proxy) -> Iterator[Tabs]:
    """Tabs behind the proxy."""
    tabs = Tabs(context, proxy.url)
    yield tabs
    assert tabs.errors == []


def log(page: Page) -> list[str]:
    """What the page shows of messages and of gaps between them, in order."""
    entries = page.locator('[data-pending="false"] [data-testid="message-text"], .notice.gap')
    return ["(gap)" if MISSING in text else text for text in entries.all_inner_texts()]


def connected(page: Page) -> None:
    expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected", timeout=30_000)


def disconnected(page: Page) -> None:
    expect(page.get_by_test_id("status")).not_to_have_attribute("data-state", "connected")


def test_a_tab_whose_connection_was_cut_shows_what_it_missed_and_what_it_wrote_once(
    chat: Chat, proxy: Proxy, far: Tabs
) -> None:
    ada = far.open(name="Ada")
    say(ada, "before")
    expect(messages(ada)).to_have_text(["before"])
    proxy.cut()
    disconnected(ada)
    chat.write(["missed one", "missed two"])
    say(ada, "typed offline")
    proxy.mend()
    expect(messages(ada)).to_have_text(["before", "missed one", "missed two", "typed offline"], timeout=30_000)
    chat.write(["after"])
    expect(messages(ada)).to_have_text(["before", "missed one", "missed two", "typed offline", "after"])
    assert log(ada) == ["before", "missed one", "missed two", "typed offline", "after"]


def test_a_message_whose_echo_was_lost_is_shown_once(proxy: Proxy, far: Tabs, tabs: Tabs) -> None:
    ada, bob = far.open(name="Ada"), tabs.open(name="Bob")
    proxy.stall(only_back=True)
    say(ada, "arrived")
    expect(messages(bob)).to_have_text(["arrived"])
    say(bob, "missed")
    expect(messages(bob)).to_have_text(["arrived", "missed"])
    proxy.mend()
    expect(messages(ada)).to_have_text(["arrived", "missed"], timeout=30_000)
    expect(ada.locator('[data-pending="true"]')).to_have_count(0)
    say(bob, "after")
    for page in (ada, bob):
        expect(messages(page)).to_have_text(["arrived", "missed", "after"])


def test_a_tab_in_a_browser_that_was_offline_says_so_and_shows_what_it_missed_once(
    chat: Chat, proxy: Proxy, context: BrowserContext, far: Tabs
) -> None:
    ada = far.open(name="Ada")
    say(ada, "before")
    expect(messages(ada)).to_have_text(["before"])
    proxy.stall()  # which tells the page nothing: it is the browser that does
    context.set_offline(True)
    expect(ada.get_by_test_id("status")).to_have_attribute("data-state", "offline")
    chat.write(["missed one", "missed two"])
    say(ada, "typed offline")
    expect(ada.locator('[data-pending="true"]')).to_have_count(1)
    proxy.mend()
    context.set_offline(False)
    connected(ada)
    expect(messages(ada)).to_have_text(["before", "missed one", "missed two", "typed offline"])
    expect(ada.locator('[data-pending="true"]')).to_have_count(0)


def typed_offline(chat: Chat, proxy: Proxy, far: Tabs, count: int) -> tuple[Page, list[str]]:
    """Give a page that has lost the server, and what was typed there since: all at once, it would be a flood."""
    chat.kill()
    chat.start("--messages-per-second", "25")
    page = far.open(name="Ada")
    proxy.cut()
    disconnected(page)
    waiting = [f"typed offline {number}" for number in range(count)]
    for text in waiting:
        say(page, text)
    expect(page.locator('[data-pending="true"]')).to_have_count(count)
    return page, waiting


def test_much_that_waits_is_sent_in_order_and_no_faster_than_the_server_takes_it(
    chat: Chat, proxy: Proxy, far: Tabs, tabs: Tabs
) -> None:
    ada, waiting = typed_offline(chat, proxy, far, 65)
    bob = tabs.open(name="Bob")
    proxy.mend()
    expect(messages(bob).last).to_have_text(re.compile(r"typed offline (14|29|44|59)"), timeout=30_000)
    say(ada, "typed meanwhile")
    expect(messages(bob)).to_have_text([*waiting, "typed meanwhile"], timeout=30_000)
    expect(ada.locator('[data-pending="true"]')).to_have_count(0)
    assert texts(ada) == texts(bob)
    expect(ada.get_by_test_id("error")).to_be_hidden()


def test_much_that_waits_for_another_room_is_brought_there(
    chat: Chat, proxy: Proxy, far: Tabs, tabs: Tabs
) -> None:
    ada, waiting = typed_offline(chat, proxy, far, 45)
    bob = tabs.open(name="Bob")
    ada.get_by_test_id("new-room-input").fill("elsewhere")
    ada.get_by_test_id("new-room-input").press("Enter")
    proxy.mend()
    expect(messages(bob)).to_have_text(waiting, timeout=30_000)
    expect(ada).to_have_title("elsewhere · Roomcast")
    ada.go_back()
    expect(messages(ada)).to_have_text(waiting)
    expect(ada.locator('[data-pending="true"]')).to_have_count(0)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_gap_is_told_once_where_it_is_however_often_the_connection_breaks(
    chat: Chat, proxy: Proxy, far: Tabs, frames: int
) -> None:
    chat.kill()
    chat.start("chats:forgetful", "--factory", "--broker", f"sqlite:///{chat.state}/rooms.db")
    ada = far.open(name="Ada")
    say(ada, "before")
    expect(messages(ada)).to_have_text(["before"])
    proxy.cut()
    disconnected(ada)
    chat.write([f"missed {number}" for number in range(1, 6)])
    proxy.cut_after_frames(frames)
    proxy.wait_until_broken(times=2)
    proxy.mend()
    whole = ["before", "(gap)", "missed 3", "missed 4", "missed 5"]
    expect(messages(ada)).to_have_count(4, timeout=30_000)
    chat.write(["after"])
    expect(messages(ada)).to_have_count(5, timeout=30_000)
    assert log(ada) == [*whole, "after"]


def test_a_gap_stays_above_all_that_the_chat_keeps(chat: Chat, proxy: Proxy, far: Tabs) -> None:
    ada = far.open(name="Ada")
    say(ada, "before")
    expect(messages(ada)).to_have_text(["before"])
    proxy.cut()
    disconnected(ada)
    missed = [f"missed {number}" for number in range(1100)]
    chat.write(missed)
    proxy.mend()
    expect(messages(ada)).to_have_count(1001, timeout=30_000)
    assert log(ada) == ["before", "(gap)", *missed[-1000:]]


def test_a_tab_goes_on_from_where_it_was_after_the_server_was_started_again(
    chat: Chat, proxy: Proxy, far: Tabs
) -> None:
    ada = far.open(name="Ada")
    for text in ("one", "two"):
        say(ada, text)
    expect(messages(ada)).to_have_text(["one", "two"])
    proxy.cut()
    disconnected(ada)
    chat.write(["missed before the restart"])
    chat.kill()
    chat.start()
    chat.write(["missed after it"])
    with ada.expect_websocket(lambda socket: "since=2." in socket.url, timeout=30_000):
        proxy.mend()
    expect(messages(ada)).to_have_text(
        ["one", "two", "missed before the restart", "missed after it"], timeout=30_000
    )
    assert log(ada) == texts(ada)


def test_a_reload_shows_the_history_that_is_kept(chat: Chat, tabs: Tabs) -> None:
    ada = tabs.open(name="Ada")
    say(ada, "own")
    expect(messages(ada)).to_have_text(["own"])
    chat.write(["another's"])
    expect(messages(ada)).to_have_text(["own", "another's"])
    ada.reload()
    expect(messages(ada)).to_have_text(["own", "another's"])
    expect(ada.get_by_test_id("message").first).to_have_attribute("data-own", "true")
    assert log(ada) == ["own", "another's"]


def test_what_was_shown_stays_single_where_something_could_not_be_kept_and_the_connection_breaks(
    chat: Chat, proxy: Proxy, far: Tabs
) -> None:
    ada = far.open(name="Ada")
    chat.write(["shown"])  # of a plain client, whose messages have no keys
    expect(messages(ada)).to_have_text(["shown"])
    proxy.cut()
    disconnected(ada)
    with closing(sqlite3.connect(chat.state / "roomcast" / "chat.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        chat.write(["only live"])
    chat.write(["missed"])
    proxy.cut_after_frames(1)
    proxy.wait_until_broken()
    proxy.mend()
    expect(messages(ada)).to_have_text(["shown", "missed"], timeout=30_000)
    assert log(ada) == ["shown", "(gap)", "missed"]
