"""What was probably meant, where `module:attribute` leads to no app: the whole message of each such error."""

from __future__ import annotations

import difflib
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from roomcast.serving.raised import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ASGI_PARAMETERS = ["scope", "receive", "send"]
"""What an ASGI app is called with, and what nearly every one of them calls its parameters."""


def path_given(text: str, path: str, attribute: str) -> str:
    """Say how the module in a file is named, where the file was given."""
    parts = Path(path.replace("\\", "/").removesuffix(".py")).parts
    if not all(part.isidentifier() for part in parts):
        return f"{text!r} is a path: give the module's name and the attribute, as in main:app"
    return f"{text!r} is a path: give the module's name, {'.'.join(parts)}:{attribute or 'app'}"


def module_alone(module: ModuleType) -> str:
    """Say which attributes there are, where a module was given without one."""
    listed = apps_in(module) or f" As in {module.__name__}:app."
    return f"{module.__name__} names a module: say which attribute of it is the app.{listed}"


def module_missing(module: str) -> str:
    """Say where a module was looked for, and which one has nearly its name."""
    parent, _, last = module.rpartition(".")
    missing = f"there is no module {module!r}."
    if not parent:
        here = Path.cwd()
        close = _close(last, _modules_in([str(here)]))
        return f"{missing}{_meant(close)} Looked in {here}, then in the installed packages."
    # To look for a module, Python imports the package around it first: that much was found.
    package = sys.modules[parent]
    if hasattr(package, last):
        return f"{missing}{_meant(f'{parent}:{last}')}"
    if not hasattr(package, "__path__"):
        return f"{missing} {parent} ({_file_of(package)}) is a module and no package.{apps_in(package)}"
    close = _close(last, _modules_in(package.__path__))
    return (
        f"{missing}{_meant(close and f'{parent}.{close}')} Looked in the package {parent} ({_file_of(package)})."
    )


def attribute_missing(owner: object, path: Sequence[str], name: str) -> str:
    """Say what `owner`, found as `module:attribute.attribute` along `path`, has instead of `name`."""
    module, *attributes = path
    close = _close(name, dir(owner))
    meant = _meant(close and f"{module}:{'.'.join([*attributes, close])}")
    if isinstance(owner, ModuleType):
        what = f"the module {owner.__name__} ({_file_of(owner)})"
    else:
        what = f"{module}:{'.'.join(attributes)}, of type {type(owner).__name__},"
    return f"{what} has no attribute {name!r}.{meant}{apps_in(owner)}"


def apps_in(owner: object) -> str:
    """A sentence, after a space, that lists the ASGI apps in a module; "" where there are none."""
    if not isinstance(owner, ModuleType):
        return ""
    names = [name for name, value in vars(owner).items() if name[0] != "_" and _looks_like_asgi(value)]
    return f" ASGI apps in it: {', '.join(f'{owner.__name__}:{name}' for name in names)}." if names else ""


def _looks_like_asgi(value: object) -> bool:
    if not callable(value) or inspect.isclass(value):
        return False
    try:
        return list(inspect.signature(value).parameters) == ASGI_PARAMETERS
    except (TypeError, ValueError):
        return False


def _modules_in(folders: Iterable[str]) -> list[str]:
    return [module.name for module in pkgutil.iter_modules(folders)]


def _close(name: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, [other for other in known if other[0] != "_"])), "")


def _meant(suggestion: str) -> str:
    return f" Did you mean {suggestion}?" if suggestion else ""


def _file_of(module: ModuleType) -> str:
    return shown(module.__file__) if module.__file__ else "a folder without an __init__.py"
