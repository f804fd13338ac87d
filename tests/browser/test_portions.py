"""How the page sends what waits, a portion at a time: its own module, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Tabs

BEGIN = """async (count) => {
  const { Portions } = await import("/outbox.js");
  window.sent = [];
  window.portions = new Portions((portion) => sent.push(portion.map(({ key }) => key)));
  portions.begin(Array.from({ length: count }, (_, key) => ({ key })));
}"""
SECOND_PORTION = "() => sent.length === 2"


def begun(tabs: Tabs, count: int) -> Page:
    page = tabs.open()
    page.evaluate(BEGIN, count)
    return page


def taken(page: Page) -> Any:
    return page.evaluate("() => portions.taken().map(({ key }) => key)")


def sent(page: Page) -> Any:
    return page.evaluate("() => sent")


def test_the_next_portion_waits_for_an_answer_and_a_moment(tabs: Tabs) -> None:
    page = begun(tabs, 20)
    assert sent(page) == [list(range(15))]
    page.evaluate("() => portions.add({ key: 20 })")
    assert taken(page) == list(range(15))
    assert len(sent(page)) == 1
    page.wait_for_function(SECOND_PORTION)
    assert sent(page)[1] == [15, 16, 17, 18, 19, 20]
    assert taken(page) == [15, 16, 17, 18, 19, 20]
    assert page.evaluate("() => portions.isUnderWay") is False


def test_what_is_settled_meanwhile_is_not_sent(tabs: Tabs) -> None:
    page = begun(tabs, 18)
    page.evaluate("() => [3, 16].forEach((key) => portions.drop(key))")
    assert taken(page) == [key for key in range(15) if key != 3]
    page.wait_for_function(SECOND_PORTION)
    assert sent(page)[1] == [15, 17]


def test_nothing_overtakes_what_was_not_taken(tabs: Tabs) -> None:
    page = begun(tabs, 20)
    page.evaluate("() => portions.failed(4)")
    assert page.evaluate("() => portions.isUnderWay") is False
    assert taken(page) == [key for key in range(15) if key != 4]
    page.evaluate("() => portions.begin([{ key: 4 }, { key: 15 }])")
    assert sent(page) == [list(range(15)), [4, 15]]
