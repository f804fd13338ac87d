"""Which app is served, and what is said where there is none."""

from __future__ import annotations

import sys
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from roomcast.errors import ConfigurationError
from roomcast.serving.apps import AppReference
from tests.programs import ROOMCAST, Program, run

if TYPE_CHECKING:
    from collections.abc import Iterator

APPS = Path(__file__).parents[1] / "apps"

WANTED = "an ASGI app is called with (scope, receive, send)"
SOURCE = """
import asyncio

async def application(scope, receive, send): ...
async def admin(scope, receive, send): ...
async def _hidden(scope, receive, send): ...
async def endpoint(websocket): ...
def wsgi(environ, start_response): ...
def asgi2(scope): ...
def create(): return application
def create_nothing(): return None
def create_wsgi(): return wsgi
async def create_later(): return application
def create_with(config): return application
settings = {}
nothing = None

class App:
    def __init__(self): self.inner = application
    async def __call__(self, scope, receive, send): ...
    @property
    def lazy(self): raise ConnectionError("no route")

app = App()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory in which the modules are written that a test imports."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    (tmp_path / "chat.py").write_text(SOURCE)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def problem(text: str, *, factory: bool = False) -> str:
    """What is said to a user who wants that served."""
    with pytest.raises(ConfigurationError) as caught:
        AppReference.parse(text, factory=factory).create()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("text", ["chat:application", "chat:app", "chat:app.inner", "chat:asgi2"])
def test_an_app_is_found_by_module_and_attribute(text: str) -> None:
    app = AppReference.parse(text).create()
    module, _, path = text.partition(":")
    assert app is attrgetter(path)(sys.modules[module])


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("factory", ["create", "App"])
def test_a_factory_makes_the_app(factory: str) -> None:
    assert callable(AppReference.parse(f"chat:{factory}", factory=True).create())


LISTED = "ASGI apps in it: chat:application, chat:admin, chat:app."


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "'' names no app: give a module and an attribute, as in main:app"),
        (":app", "':app' names no app: give a module and an attribute, as in main:app"),
        ("chat:", "'chat:' names no app: give a module and an attribute, as in main:app"),
        (".chat:app", "'.chat:app' names no app: give a module and an attribute, as in main:app"),
        ("chat", f"chat names a module: say which attribute of it is the app. {LISTED}"),
        ("json", "json names a module: say which attribute of it is the app. As in json:app."),
        ("chat.py:app", "'chat.py:app' is a path: give the module's name, chat:app"),
        ("site/chat.py", "'site/chat.py' is a path: give the module's name, site.chat:app"),
        (
            "/srv/chat.py:app",
            "'/srv/chat.py:app' is a path: give the module's name and the attribute, as in main:app",
        ),
        ("chat.app", "there is no module 'chat.app'. Did you mean chat:app?"),
        ("chat.ap:app", f"there is no module 'chat.ap'. chat (chat.py) is a module and no package. {LISTED}"),
        (
            "chat:aplication",
            f"the module chat (chat.py) has no attribute 'aplication'. Did you mean chat:application? {LISTED}",
        ),
        ("chat:qqq", f"the module chat (chat.py) has no attribute 'qqq'. {LISTED}"),
        ("chat:app.iner", "chat:app, of type App, has no attribute 'iner'. Did you mean chat:app.inner?"),
        ("chat:app.lazy", "looking for chat:app.lazy failed: ConnectionError: no route (chat.py:22)"),
        ("chat:settings", f"chat:settings is a dict, which cannot be called: {WANTED}. {LISTED}"),
        ("chat:nothing", f"chat:nothing is None, which cannot be called: {WANTED}. {LISTED}"),
        ("chat:asyncio", f"chat:asyncio is a module, which cannot be called: {WANTED}."),
        ("chat:endpoint", f"chat:endpoint takes (websocket), but {WANTED}"),
        ("chat:wsgi", f"chat:wsgi takes (environ, start_response), but {WANTED}"),
        (
            "chat:create",
            "chat:create takes no arguments, as a factory does: add --factory if calling it makes the app",
        ),
        ("chat:App", "chat:App is a class: give an instance of it, or add --factory if calling it makes the app"),
    ],
)
def test_what_is_no_app_is_told_with_what_would_be(text: str, expected: str) -> None:
    assert problem(text) == expected


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chat:settings", f"chat:settings is a dict, which cannot be called: {WANTED}. {LISTED}"),
        ("chat:create_nothing", f"the factory chat:create_nothing returned None: {WANTED}"),
        ("chat:create_later", "the factory chat:create_later is an async function: make it a plain one"),
        (
            "chat:create_wsgi",
            f"what the factory chat:create_wsgi returned takes (environ, start_response), but {WANTED}",
        ),
        (
            "chat:create_with",
            (
                "chat:create_with takes (config), but a factory takes nothing: "
                "leave out --factory to serve it as it is"
            ),
        ),
    ],
)
def test_what_is_no_factory_is_told_with_what_would_be(text: str, expected: str) -> None:
    assert problem(text, factory=True) == expected


def test_a_missing_module_is_told_with_where_it_was_looked_for(folder: Path) -> None:
    looked = f"Looked in {folder}, then in the installed packages."
    assert problem("qqq:app") == f"there is no module 'qqq'. {looked}"
    assert problem("caht:app") == f"there is no module 'caht'. Did you mean chat? {looked}"


def test_a_module_missing_in_a_package_is_looked_for_there(folder: Path) -> None:
    (folder / "site_").mkdir()
    (folder / "site_" / "__init__.py").touch()
    (folder / "site_" / "views.py").touch()
    looked = f"Looked in the package site_ ({Path('site_', '__init__.py')})."
    assert problem("site_.view:app") == f"there is no module 'site_.view'. Did you mean site_.views? {looked}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import nosuchlibrary", "ModuleNotFoundError: No module named 'nosuchlibrary' (broken.py:1)"),
        ("\ndef f(:", "SyntaxError: invalid syntax (broken.py:2)"),
        ("x = 1\nraise ValueError('two\\nlines')", "ValueError: two lines (broken.py:2)"),
        ("raise RuntimeError", "RuntimeError (broken.py:1)"),
        ("import sys; sys.exit(4)", "SystemExit: 4 (broken.py:1)"),
        ("raise ValueError(1000 * 'x')", f"ValueError: {300 * 'x'}… (broken.py:1)"),
    ],
)
def test_a_module_that_raises_is_told_with_the_line(folder: Path, source: str, expected: str) -> None:
    (folder / "broken.py").write_text(source)
    assert problem("broken:app") == f"importing broken failed: {expected}"


def test_what_a_library_raises_is_told_with_the_line_that_led_there(folder: Path) -> None:
    (folder / "broken.py").write_text("import json\nsettings = json.loads('{')\n")
    assert " (broken.py:2, raised in /" in problem("broken:app")
    assert "decoder.py:" in problem("broken:app")


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]], ids=["alone", "many", "reload"])
@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (["main:ap"], "the module main (main.py) has no attribute 'ap'. Did you mean main:app?"),
        (["main:broken_factory", "--factory"], "the factory main:broken_factory failed: KeyError: 'DATABASE_URL'"),
    ],
    ids=["attribute", "factory"],
)
def test_it_is_one_line_on_stderr_and_exit_code_2(app: list[str], expected: str, options: list[str]) -> None:
    program = run(ROOMCAST, "serve", *app, "--port", "0", *options, cwd=APPS)
    assert program.returncode == 2
    assert program.stderr.startswith(f"Error: {expected}")
    assert program.output.count("\n") == 1


def test_a_module_that_ends_the_process_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text("import os; os._exit(7)")
    program = run(ROOMCAST, "serve", "gone:app", "--port", "0", "--workers", "2", cwd=tmp_path)
    assert (program.returncode, program.output) == (2, "Error: importing gone ended the process\n")


@pytest.mark.parametrize(
    "arguments",
    [["main:site.app"], ["main:make_app", "--factory"], ["main:make_app", "--factory", "--workers", "2"]],
    ids=" ".join,
)
def test_an_app_in_an_object_or_of_a_factory_is_served(arguments: list[str]) -> None:
    with Program.roomcast("serve", *arguments, "--port", "0", cwd=APPS) as program:
        url = program.wait_for_line(rf"^Serving {arguments[0]} on (\S+) ")[1]
        assert httpx.get(url).is_success
