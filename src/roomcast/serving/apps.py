"""Which app to serve: from `module:attribute` to the object, or to why there is none."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, cast

from roomcast.errors import ConfigurationError
from roomcast.serving.raised import told
from roomcast.serving.suggestions import (
    ASGI_PARAMETERS,
    apps_in,
    attribute_missing,
    module_alone,
    module_missing,
    path_given,
)

if TYPE_CHECKING:
    from collections.abc import Callable

WANTED = f"an ASGI app is called with ({', '.join(ASGI_PARAMETERS)})"


@dataclass(frozen=True)
class AppReference:
    """An app by its name, which another process can look up for itself.

    Attributes:
        module: the module's dotted name.
        attribute: the attribute's name in it; dots lead further, as in `site.app`.
        factory: whether the attribute is to be called, without arguments, to get the app.
    """

    module: str
    attribute: str
    factory: bool = False

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"

    @classmethod
    def parse(cls, text: str, *, factory: bool = False) -> Self:
        """Read `module:attribute`.

        Raises:
            ConfigurationError: it is not of that form; the message says what would be, in this very case.
        """
        module, _, attribute = text.partition(":")
        if module.endswith(".py") or "/" in module or "\\" in module:
            raise ConfigurationError(path_given(text, module, attribute))
        if not module or module.startswith(".") or (":" in text and not attribute):
            raise ConfigurationError(f"{text!r} names no app: give a module and an attribute, as in main:app")
        if not attribute:
            raise ConfigurationError(module_alone(_imported(module)))
        return cls(module, attribute, factory)

    def find(self) -> Callable[..., Any]:
        """Import the module and get the attribute: the app, or the factory that makes it.

        Raises:
            ConfigurationError: the module cannot be imported, has no such attribute, or that is no ASGI app.
        """
        module = _imported(self.module)
        value: object = module
        path = [self.module]
        for name in self.attribute.split("."):
            try:
                value = getattr(value, name)
            except AttributeError:
                raise ConfigurationError(attribute_missing(value, path, name)) from None
            except Exception as error:
                raise ConfigurationError(f"looking for {self} failed: {told(error)}") from error
            path.append(name)
        if not callable(value):
            listed = apps_in(value if isinstance(value, ModuleType) else module)
            raise ConfigurationError(f"{self} is {_kind(value)}, which cannot be called: {WANTED}.{listed}")
        problem = _factory_problem(value) if self.factory else _app_problem(value)
        if problem:
            raise ConfigurationError(f"{self} {problem}")
        return value

    def create(self) -> Callable[..., Any]:
        """Get the app itself: `find` it, and call it where it is a factory.

        Raises:
            ConfigurationError: as `find`; or the factory raised, or returned what is no app.
        """
        found = self.find()
        if not self.factory:
            return found
        try:
            app = found()
        except (Exception, SystemExit) as error:
            raise ConfigurationError(f"the factory {self} failed: {told(error)}") from error
        if inspect.iscoroutine(app):
            app.close()
            raise ConfigurationError(f"the factory {self} is an async function: make it a plain one")
        if not callable(app):
            raise ConfigurationError(f"the factory {self} returned {_kind(app)}: {WANTED}")
        if problem := _app_problem(app):
            raise ConfigurationError(f"what the factory {self} returned {problem}")
        return cast("Callable[..., Any]", app)


def _imported(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        # The module itself is missing, or a package around it; not another one, which it tried to import.
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise ConfigurationError(module_missing(error.name or module)) from None
        raise ConfigurationError(f"importing {module} failed: {told(error)}") from error


def _app_problem(value: Callable[..., Any]) -> str:
    """Why it is no ASGI app, as the rest of a sentence that its name begins; "" where it is one."""
    if inspect.isclass(value) and _takes(value, 0):
        return "is a class: give an instance of it, or add --factory if calling it makes the app"
    if _takes(value, 3):
        return ""
    # ASGI 2, which uvicorn serves too: called with the scope alone, it returns what is then awaited.
    if _takes(value, 1) and not inspect.iscoroutinefunction(value):
        return ""
    if _takes(value, 0):
        return "takes no arguments, as a factory does: add --factory if calling it makes the app"
    return f"takes {_parameters(value)}, but {WANTED}"


def _factory_problem(value: Callable[..., Any]) -> str:
    """Why it is no factory, as the rest of a sentence that its name begins; "" where it is one."""
    if _takes(value, 0):
        return ""
    return f"takes {_parameters(value)}, but a factory takes nothing: leave out --factory to serve it as it is"


def _takes(value: Callable[..., Any], count: int) -> bool:
    """Whether it can be called with that many arguments; taken for granted where it has no signature."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _parameters(value: Callable[..., Any]) -> str:
    return f"({', '.join(inspect.signature(value).parameters)})"


def _kind(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
