"""The page of `roomcast bench --report`, on narrow screens and on wide ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roomcast.terminal.bench.histogram import Histogram
from roomcast.terminal.bench.plan import Plan
from roomcast.terminal.bench.report import report
from roomcast.terminal.bench.result import Result

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.mark.parametrize("width", [360, 1000])
def test_the_page_is_as_wide_as_the_screen_and_its_table_can_be_scrolled(browser: Browser, width: int) -> None:
    latencies = Histogram()
    for index in range(1000):
        latencies.add(50_000_000 + index * 1000)
    result = Result("ws://localhost/ws/echo", Plan(10, 100, 128, 2), 1.0, [latencies], elapsed=2.0)
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.set_content(report(result, "2026-01-01 00:00"))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    box, table = page.evaluate("['.wide', 'table'].map(name => document.querySelector(name).offsetWidth)")
    assert (table > box) == (width == 360)
    last = page.get_by_role("columnheader", name="of", exact=True)
    last.scroll_into_view_if_needed()
    found = last.bounding_box()
    assert found is not None
    assert found["x"] + found["width"] <= width
    page.close()
