"""The page in a real Chromium, against the chat as a program."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Chat, Line, Tabs, messages, say, take_name, texts

if TYPE_CHECKING:
    from playwright.sync_api import Browser

INJECTIONS = ["<img src=x onerror='window.ran = true'>", "<script>window.ran = true</script>", "<b>bold</b> &amp;"]


BRIGHTNESS = """() => {
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
    return (red + green + blue) / 3;
}"""
"""The page's background, from 0 (black) to 255 (white), in whatever form its colour was written."""


def test_two_tabs_in_one_room_see_each_other_and_a_third_elsewhere_sees_nothing(tabs: Tabs) -> None:
    ada, bob = tabs.open(name="Ada"), tabs.open(name="Bob")
    other = tabs.open("elsewhere", name="Eve")
    say(ada, "hello from Ada")
    expect(messages(bob)).to_have_text(["hello from Ada"])
    say(bob, "hello from Bob")
    expect(messages(ada)).to_have_text(["hello from Ada", "hello from Bob"])
    expect(messages(bob)).to_have_text(["hello from Ada", "hello from Bob"])

    own = ada.get_by_test_id("message").filter(has_text="hello from Ada")
    expect(own).to_have_attribute("data-own", "true")
    expect(bob.get_by_test_id("message").filter(has_text="hello from Ada")).to_have_attribute("data-own", "false")
    expect(bob.get_by_test_id("message").filter(has_text="hello from Ada")).to_contain_text("Ada")

    say(other, "alone")
    expect(messages(other)).to_have_text(["alone"])
    assert texts(ada) == ["hello from Ada", "hello from Bob"]


def test_who_comes_and_goes_is_told_and_listed(tabs: Tabs) -> None:
    ada = tabs.open(name="Ada")
    bob = tabs.open(name="Bob")
    expect(ada.get_by_test_id("notice").filter(has_text="Bob")).to_be_visible()
    expect(ada.get_by_test_id("member")).to_have_count(2)
    expect(ada.get_by_test_id("people-count")).to_have_text("2")
    bob.close()
    expect(ada.get_by_test_id("member")).to_have_count(1)


def test_both_tabs_come_back_after_a_crash_and_deliver_what_was_typed_meanwhile(chat: Chat, tabs: Tabs) -> None:
    ada, bob = tabs.open(name="Ada"), tabs.open(name="Bob")
    say(ada, "before")
    expect(messages(bob)).to_have_text(["before"])
    chat.kill()
    for page in (ada, bob):
        expect(page.get_by_test_id("status")).not_to_have_attribute("data-state", "connected")
    say(ada, "typed offline, one")
    say(ada, "typed offline, two")
    say(bob, "typed offline by Bob")
    expect(ada.locator('[data-testid="message"][data-pending="true"]')).to_have_count(2)
    chat.start()
    for page in (ada, bob):
        expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected", timeout=30_000)
        expect(messages(page)).to_have_count(4)
        expect(page.locator('[data-pending="true"]')).to_have_count(0)
        shown = texts(page)
        assert sorted(shown) == ["before", "typed offline by Bob", "typed offline, one", "typed offline, two"]
        assert shown.index("typed offline, one") < shown.index("typed offline, two")
        assert shown[0] == "before"


def test_the_history_outlives_the_server_also_for_who_comes_later(chat: Chat, tabs: Tabs) -> None:
    ada = tabs.open(name="Ada")
    for text in ("one", "two"):
        say(ada, text)
    expect(messages(ada)).to_have_text(["one", "two"])
    chat.kill()
    expect(ada.get_by_test_id("status")).not_to_have_attribute("data-state", "connected")
    chat.start()
    expect(ada.get_by_test_id("status")).to_have_attribute("data-state", "connected", timeout=30_000)
    bob = tabs.open(name="Bob")
    expect(messages(bob)).to_have_text(["one", "two"])
    say(bob, "three")
    for page in (ada, bob):
        expect(messages(page)).to_have_text(["one", "two", "three"])
        expect(page.get_by_test_id("notice").filter(has_text="missing")).to_have_count(0)


def test_who_was_offline_is_shown_what_it_missed_once_and_in_order(chat: Chat, tabs: Tabs) -> None:
    line = Line()
    ada = tabs.open(name="Ada", line=line)
    say(ada, "before")
    expect(messages(ada)).to_have_text(["before"])
    line.cut()
    expect(ada.get_by_test_id("status")).not_to_have_attribute("data-state", "connected")
    missed = [f"missed {number}" for number in range(20)]
    chat.write(missed)
    line.mend()
    expect(ada.get_by_test_id("status")).to_have_attribute("data-state", "connected", timeout=30_000)
    expect(messages(ada)).to_have_text(["before", *missed])
    chat.write(["after"])
    expect(messages(ada)).to_have_text(["before", *missed, "after"])
    expect(ada.get_by_test_id("notice").filter(has_text="missing")).to_have_count(0)


def test_who_missed_more_than_is_kept_is_told_so_where_it_is_missing(chat: Chat, tabs: Tabs) -> None:
    chat.kill()
    chat.start("--broker", "memory://")  # which keeps the newest 256 of a room
    line = Line()
    ada = tabs.open(name="Ada", line=line)
    say(ada, "before")
    expect(messages(ada)).to_have_text(["before"])
    line.cut()
    expect(ada.get_by_test_id("status")).not_to_have_attribute("data-state", "connected")
    missed = [f"missed {number}" for number in range(300)]
    chat.write(missed)
    line.mend()
    expect(ada.get_by_test_id("status")).to_have_attribute("data-state", "connected", timeout=30_000)
    expect(messages(ada)).to_have_count(257)
    assert texts(ada) == ["before", *missed[-256:]]
    notice = ada.get_by_test_id("notice").filter(has_text="Some messages may be missing here")
    expect(notice).to_have_count(1)
    order = ada.locator('[data-testid="message"], [data-testid="notice"]').filter(
        has_text=re.compile(r"before|may be missing|missed 44\b")
    )
    expect(order).to_contain_text(["before", "may be missing", "missed 44"])


def test_a_connection_that_is_lost_before_the_history_has_come_loses_nothing_of_it(chat: Chat, tabs: Tabs) -> None:
    chat.write(["one", "two"])
    line = Line()
    line.cut_after = '"welcome"'
    ada = tabs.open(line=line, is_up=False)
    expect(ada.get_by_test_id("status")).to_have_attribute("data-state", "reconnecting")
    expect(messages(ada)).to_have_count(0)
    line.mend()
    expect(messages(ada)).to_have_text(["one", "two"], timeout=30_000)
    expect(ada.get_by_test_id("notice").filter(has_text="missing")).to_have_count(0)


def test_what_cannot_be_kept_is_shown_to_all_and_its_author_is_told(chat: Chat, tabs: Tabs) -> None:
    ada, bob = tabs.open(name="Ada"), tabs.open(name="Bob")
    say(ada, "kept")
    expect(messages(bob)).to_have_text(["kept"])
    with closing(sqlite3.connect(chat.state / "roomcast" / "chat.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        say(ada, "only live")
        for page in (ada, bob):
            expect(messages(page)).to_have_text(["kept", "only live"])
        expect(ada.get_by_test_id("error")).to_contain_text("could not keep your message")
    say(bob, "kept again")
    for page in (ada, bob):
        expect(messages(page)).to_have_text(["kept", "only live", "kept again"])
    late = tabs.open(name="Eve")
    expect(messages(late)).to_have_text(["kept", "kept again"])


def test_what_waits_for_a_room_is_sent_there_and_to_no_other(chat: Chat, tabs: Tabs) -> None:
    ada = tabs.open("first", name="Ada")
    chat.kill()
    expect(ada.get_by_test_id("status")).not_to_have_attribute("data-state", "connected")
    say(ada, "for the first room")
    ada.get_by_test_id("new-room-input").fill("second")
    ada.get_by_test_id("new-room-input").press("Enter")
    chat.start()
    expect(ada.get_by_test_id("status")).to_have_attribute("data-state", "connected", timeout=30_000)
    say(ada, "for the second room")
    expect(messages(ada)).to_have_text(["for the second room"])
    bob = tabs.open("first", name="Bob")
    expect(messages(bob)).to_have_text(["for the first room"])
    ada.locator('[data-testid="room"][data-room="first"]').click()
    expect(messages(ada)).to_have_text(["for the first room"])


def test_people_without_a_name_are_told_apart(tabs: Tabs, browser: Browser, chat: Chat) -> None:
    first, second = tabs.open(), tabs.open()
    with browser.new_context() as elsewhere:
        witness = Tabs(elsewhere, chat.url).open()
        say(first, "one")
        expect(messages(witness)).to_have_text(["one"])
        say(second, "two")
        expect(messages(witness)).to_have_text(["one", "two"])
        expect(witness.locator('[data-testid="message"].starts')).to_have_count(2)


@pytest.mark.parametrize("text", INJECTIONS)
def test_html_is_text_wherever_it_stands(tabs: Tabs, text: str) -> None:
    ada = tabs.open(name="Ada")
    bob = tabs.open(name=text[:64])
    say(bob, text)
    expect(messages(ada)).to_have_text([text])
    expect(ada.get_by_test_id("member").filter(has_text=text[:64])).to_be_attached()
    ada.get_by_test_id("new-room-input").fill(text)
    ada.get_by_test_id("new-room-input").press("Enter")
    expect(ada.locator("h1")).to_have_text(text)
    expect(ada.get_by_test_id("room").filter(has_text=text)).to_be_attached()
    for page in (ada, bob):
        assert page.evaluate("window.ran") is None
        assert page.locator("main img, main b, main script").count() == 0


def test_a_room_is_shared_by_its_address(tabs: Tabs) -> None:
    ada = tabs.open("caf%C3%A9%20%26%20bar")
    expect(ada.locator("h1")).to_have_text("café & bar")
    ada.get_by_test_id("new-room-input").fill("tea/time?")
    ada.get_by_test_id("new-room-input").press("Enter")
    expect(ada.locator("h1")).to_have_text("tea/time?")
    bob = tabs.open()
    bob.goto(ada.url)
    expect(bob.locator("h1")).to_have_text("tea/time?")
    say(ada, "found it?")
    expect(messages(bob)).to_have_text(["found it?"])
    ada.go_back()
    expect(ada.locator("h1")).to_have_text("café & bar")


def test_a_name_is_remembered_and_a_new_one_is_told(tabs: Tabs) -> None:
    ada = tabs.open(name="Ada")
    witness = tabs.open(name="Witness")
    ada.reload()
    expect(ada.get_by_test_id("name-input")).to_have_value("Ada")
    take_name(ada, "Augusta")
    expect(witness.get_by_test_id("notice").filter(has_text="Augusta")).to_be_visible()
    expect(witness.get_by_test_id("member").filter(has_text="Augusta")).to_be_attached()


def test_a_room_that_cannot_be_is_explained_and_not_tried_again(tabs: Tabs) -> None:
    page = tabs.open()
    page.goto(page.url.split("?")[0] + "?room=" + "x" * 129)
    expect(page.get_by_test_id("banner")).to_be_visible()
    expect(page.get_by_test_id("banner")).to_contain_text("128 characters")
    expect(page.get_by_test_id("status")).to_have_attribute("data-state", "closed")


@pytest.mark.parametrize("room", ["tab%09bed", "nul%00", "c1%C2%85"])
def test_a_room_with_control_characters_is_explained_and_not_remembered(tabs: Tabs, room: str) -> None:
    page = tabs.open("kept")
    page.goto(page.url.split("?")[0] + f"?room={room}")
    banner = page.get_by_test_id("banner")
    expect(banner).to_contain_text("neither has tabs or other control characters")
    expect(banner).to_contain_text("The server says: a room's name has no control characters")
    expect(page.get_by_test_id("status")).to_have_attribute("data-state", "closed")
    page.goto(page.url.split("?")[0] + "?room=kept")
    expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected")
    expect(page.get_by_test_id("room")).to_have_count(1)


def test_a_name_with_control_characters_is_explained_and_can_be_mended(tabs: Tabs) -> None:
    page = tabs.open()
    page.get_by_test_id("name-input").fill("Ada\tLovelace")
    page.get_by_test_id("name-input").press("Enter")
    expect(page.get_by_test_id("banner")).to_contain_text(
        "The server says: a user's name has no control characters"
    )
    page.get_by_role("button", name="Change your name").click()
    take_name(page, "Ada Lovelace")
    expect(page.get_by_test_id("banner")).to_be_hidden()


def test_what_the_server_could_not_send_waits_and_is_sent_again(chat: Chat, tabs: Tabs) -> None:
    chat.kill()
    chat.start("chats:refusing", "--factory")
    ada, bob = tabs.open(name="Ada"), tabs.open(name="Bob")
    say(ada, "hello")
    expect(ada.get_by_test_id("error")).to_contain_text("is tried again")
    expect(ada.locator('[data-pending="true"] .unsent')).to_be_visible()
    say(ada, "taken")
    expect(messages(bob)).to_have_text(["taken"])
    for page in (ada, bob):
        expect(messages(page)).to_have_text(["taken", "hello"], timeout=30_000)
    expect(ada.locator('[data-pending="true"]')).to_have_count(0)


def test_it_can_be_used_with_the_keyboard_alone(tabs: Tabs) -> None:
    page = tabs.open()
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to writing a message")
    page.keyboard.press("Enter")
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(messages(page)).to_have_text(["first line\nsecond line"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_on_a_narrow_screen(browser: Browser, chat: Chat, scheme: str) -> None:
    dark = scheme == "dark"
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark" if dark else "light")
    tabs = Tabs(context, chat.url)
    page = tabs.open("r" * 128)
    say(page, "w" * 500)
    expect(messages(page)).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert (page.evaluate(BRIGHTNESS) < 128) == dark
    context.close()
    assert tabs.errors == []
