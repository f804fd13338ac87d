"""The chat's HTTP side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from roomcast.chat import create_app
from roomcast.errors import UnknownBroker
from roomcast.testing import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with LiveServer(create_app("memory://")) as server, httpx.Client(base_url=server.url) as http:
        yield http


def test_the_root_is_the_page(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<!doctype html>" in page.text.lower()


def test_the_page_loads_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http://" not in page.text.replace("http://www.w3.org/", "")
    assert "https://" not in page.text


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/chat.css", "text/css; charset=utf-8"), ("/chat.js", "text/javascript; charset=utf-8")],
)
def test_the_page_has_its_style_and_its_script(http: httpx.Client, path: str, media_type: str) -> None:
    file = http.get(path)
    assert file.status_code == 200
    assert file.headers["content-type"] == media_type
    assert file.text


def test_without_a_token_there_is_no_operators_page(http: httpx.Client) -> None:
    assert [http.get(path).status_code for path in ("/admin", "/admin/", "/admin/admin.js")] == [404] * 3


def test_with_a_token_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_ADMIN_TOKEN", "token")
    with LiveServer(create_app("memory://")) as server, httpx.Client(base_url=server.url) as http:
        assert http.get("/admin").headers["location"] == "admin/"
        page = http.get("/admin", follow_redirects=True)
        assert page.url.path == "/admin/"
        assert "admin.js" in page.text


def test_health(http: httpx.Client) -> None:
    answer = http.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


@pytest.mark.parametrize(
    "path", ["/nothing", "/index.html", "/ws/chat", "/page/chat.js", "/../app.py", "/healthz/"]
)
def test_any_other_path_is_not_found(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.text == "Not Found"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_an_unknown_broker_is_refused_at_once() -> None:
    with pytest.raises(UnknownBroker, match="memory://"):
        create_app("rabbit://localhost")
