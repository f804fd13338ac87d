"""The page of a chat that wants tokens, in a real Chromium: it asks for one, and keeps it in the tab."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from roomcast.auth import make_token
from tests.auth.signing import SECRET
from tests.browser.conftest import Chat, Tabs, messages, say

if TYPE_CHECKING:
    from collections.abc import Collection


@pytest.fixture
def chat(chat: Chat) -> Chat:
    """The chat, which wants tokens."""
    chat.kill()
    chat.start("--token-secret", SECRET)
    return chat


def token(
    user: str = "ada", *can: str, rooms: Collection[str] = ("*",), name: str | None = None, expires: float = 3600
) -> str:
    actions = can or ("join", "publish", "presence", "history")
    return make_token(SECRET, user, rooms=dict.fromkeys(rooms, actions), name=name, expires=expires)


def enter(page: Page, given: str) -> None:
    page.get_by_test_id("token-input").fill(given)
    page.get_by_test_id("token-input").press("Enter")


def is_up(page: Page) -> None:
    expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected")
    expect(page.get_by_test_id("banner")).to_be_hidden()


def test_the_page_asks_for_a_token_and_keeps_it_in_this_tab_alone(tabs: Tabs) -> None:
    ada = tabs.open(is_up=False)
    banner = ada.get_by_test_id("banner")
    expect(banner).to_contain_text("This chat asks who you are")
    expect(ada.get_by_test_id("token-input")).to_be_focused()
    expect(banner.get_by_role("button")).to_have_count(1)
    given = token("ada", name="Ada Löve")
    enter(ada, f"  Bearer {given} ")
    is_up(ada)
    expect(ada.get_by_test_id("name-input")).to_have_value("Ada Löve")
    expect(ada.get_by_test_id("name-input")).not_to_be_editable()
    expect(ada.get_by_test_id("member")).to_contain_text(["Ada Löve"])
    say(ada, "hello")
    expect(messages(ada)).to_have_text(["hello"])
    assert given not in ada.url
    assert given not in ada.content()
    assert given not in str(ada.evaluate("JSON.stringify(localStorage)"))
    assert given in str(ada.evaluate("JSON.stringify(sessionStorage)"))
    ada.reload()
    is_up(ada)
    expect(messages(ada)).to_have_text(["hello"])
    other = tabs.open(is_up=False)
    expect(other.get_by_test_id("token-input")).to_be_visible()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (make_token(SECRET, "ada", expires=-1, rooms=["*"]), "the token has expired: get a fresh one"),
        (make_token("another secret", "ada", rooms=["*"]), "signature does not fit"),
    ],
    ids=["expired", "forged"],
)
def test_a_bad_token_is_told_in_words_and_another_one_can_be_given(tabs: Tabs, bad: str, words: str) -> None:
    page = tabs.open(is_up=False)
    enter(page, bad)
    expect(page.get_by_test_id("banner")).to_contain_text("Your token was not taken")
    expect(page.get_by_test_id("banner")).to_contain_text(words)
    enter(page, token())
    is_up(page)


def test_what_is_no_token_is_told_at_the_field(tabs: Tabs) -> None:
    page = tabs.open(is_up=False)
    enter(page, "let me in")
    field = page.get_by_test_id("token-input")
    assert "This is no token" in field.evaluate("element => element.validationMessage")
    assert field.input_value() == "let me in"


def test_a_room_that_is_not_ones_own_is_told_and_another_token_can_be_given(tabs: Tabs) -> None:
    page = tabs.open("team-1", is_up=False)
    enter(page, token(rooms=["general"]))
    banner = page.get_by_test_id("banner")
    expect(banner).to_contain_text("This room is not open to you")
    expect(banner.get_by_role("button", name="Choose another room")).to_be_visible()
    banner.get_by_role("button", name="Use another token").click()
    expect(page.get_by_test_id("token-input")).to_be_focused()
    enter(page, token(rooms=["team-*"]))
    is_up(page)


def test_who_may_only_listen_sees_that(tabs: Tabs) -> None:
    ada, reader = tabs.open(is_up=False), tabs.open(is_up=False)
    enter(ada, token("ada"))
    is_up(ada)
    say(ada, "before")
    expect(messages(ada)).to_have_text(["before"])
    enter(reader, token("bob", "join"))
    is_up(reader)
    expect(reader.get_by_test_id("composer")).not_to_be_editable()
    expect(reader.get_by_test_id("composer")).to_have_attribute("placeholder", "You can read here, but not write")
    expect(reader.get_by_test_id("notice").filter(has_text="What was said here before")).to_have_count(1)
    expect(reader.get_by_test_id("unseen-members")).to_be_visible()
    expect(reader.get_by_test_id("member")).to_have_count(1)
    say(ada, "now")
    expect(messages(reader)).to_have_text(["now"])


def test_what_waits_from_before_and_may_not_be_said_is_given_up_with_a_word(chat: Chat, tabs: Tabs) -> None:
    page = tabs.open(is_up=False)
    enter(page, token("ada"))
    is_up(page)
    chat.kill()
    expect(page.get_by_test_id("status")).not_to_have_attribute("data-state", "connected")
    say(page, "typed offline")
    page.evaluate(f"sessionStorage.setItem('roomcast.token', JSON.stringify('{token('ada', 'join')}'))")
    chat.start("--token-secret", SECRET)
    page.reload()
    is_up(page)
    expect(page.get_by_test_id("error")).to_contain_text("You may read in this room, but not write")
    expect(page.locator('[data-pending="true"]')).to_have_count(0)


def test_before_a_token_ends_a_fresh_one_is_asked_for_and_the_connection_stays(tabs: Tabs) -> None:
    page = tabs.open(is_up=False)
    enter(page, token("ada", expires=30))
    expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected")
    banner = page.get_by_test_id("banner")
    expect(banner).to_contain_text("Your token ends within a minute")
    enter(page, token("eve"))
    expect(banner).to_contain_text("the fresh token is another user's")
    fresh = token("ada")
    enter(page, fresh)
    is_up(page)
    assert fresh in str(page.evaluate("JSON.stringify(sessionStorage)"))


def test_at_its_end_the_page_asks_for_a_fresh_token(tabs: Tabs) -> None:
    page = tabs.open(is_up=False)
    enter(page, token("ada", expires=2))
    banner = page.get_by_test_id("banner")
    expect(banner).to_contain_text("Your token was not taken")
    expect(page.get_by_test_id("status")).to_have_attribute("data-state", "closed")
    enter(page, token("ada"))
    is_up(page)


@pytest.mark.parametrize(("width", "height"), [(360, 640), (1280, 800)])
def test_the_form_fits_every_screen_and_has_names(tabs: Tabs, width: int, height: int) -> None:
    page = tabs.open(is_up=False)
    page.set_viewport_size({"width": width, "height": height})
    field = page.get_by_label("Your token")
    expect(field).to_be_visible()
    expect(field).to_have_accessible_description(re.compile("kept in this tab alone"))
    expect(page.get_by_role("button", name="Use this token")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
