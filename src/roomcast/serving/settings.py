"""Settings of a command: options that come from the environment too, and errors that say from where they came."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from roomcast.client import refusals
from roomcast.errors import BrokerUnavailable, ConfigurationError, HandshakeFailed, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AnyFunction = TypeVar("AnyFunction", bound="Callable[..., Any]")


def setting(*names: str, **attributes: object) -> Callable[[AnyFunction], AnyFunction]:
    """A click option that also comes from the environment: `--log-level` from ROOMCAST_LOG_LEVEL."""
    variable = "ROOMCAST_" + names[0].removeprefix("--").replace("-", "_").upper()
    return click.option(*names, cls=Setting, envvar=variable, show_envvar=True, show_default=True, **attributes)


class Setting(click.Option):
    """What `setting` makes.

    Args:
        names: as click has them.
        section: under which heading of its own the help has it.
        attributes: as click has them.
    """

    def __init__(self, names: Sequence[str], *, section: str = "", **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(names, **attributes)
        self.section = section

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """The name in errors: that of the variable where the value came from there."""
        return self.opts[0] if ctx is None else origin(ctx, self.name)


class Sections(click.Command):
    """A command whose help has the settings that belong together under a heading of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, those without a section first."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "section", "") or "Options", []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class Number(click.IntRange):
    """A whole number with bounds.

    Args:
        what: what it is, and which ones there are, for the error.
        low: the least.
        high: the greatest, None for no bound.
    """

    def __init__(self, what: str, low: int, high: int | None = None) -> None:
        super().__init__(low, high)
        self._what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Read the number.

        Raises:
            click.BadParameter: it is none, or out of bounds.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is no {self._what}", param, ctx)


class Duration(click.ParamType[float]):
    """A length of time in seconds, written as `10s`, `500ms`, `2m` or plainly as `10`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Read it.

        Raises:
            click.BadParameter: it is none.
        """
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|)", str(value))
        if match is None:
            self.fail(f"{value!r} is no length of time: write it as 10s, 500ms or 2m", param, ctx)
        return float(match[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}[match[2]]


class Token(click.ParamType[str]):
    """A secret that a request can carry in a header."""

    name = "token"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Check it.

        Raises:
            click.BadParameter: no header can carry it. The message does not repeat it.
        """
        if not re.fullmatch(r"[\x21-\x7e]+", value):
            self.fail("a token has one character or more, all of them visible ASCII, without spaces", param, ctx)
        return str(value)


class Switch(click.types.BoolParamType):
    """Whether a flag is set, which the environment has to say in a word."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Read the word.

        Raises:
            click.BadParameter: it means neither.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is neither on nor off: set 1 or 0", param, ctx)


class Commands(click.Group):
    """Commands that tell every mistake of their user's in one line, and exit with 2."""

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401  # as click declares it
        """Run the command that the arguments name, and exit with what it returns."""
        extra["standalone_mode"] = False
        try:
            sys.exit(super().main(*args, **extra))
        except click.ClickException as error:
            complain(_in_short(error))
            sys.exit(error.exit_code)
        except ConfigurationError as error:
            complain(str(error))
            sys.exit(2)
        except HandshakeFailed as error:
            complain(refusals.explained(error))
            sys.exit(1)
        except BrokerUnavailable as error:
            complain(str(error))
            sys.exit(1)
        except Unreachable as error:
            complain(str(error))
            sys.exit(3)
        except click.Abort:
            sys.exit(130)  # as a shell says that Ctrl+C ended it


def complain(problem: str) -> None:
    """Print one line that says what is wrong."""
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {problem}", err=True)


def warn(problem: str) -> None:
    """Print one line that says what is not as it should be."""
    click.echo(f"{click.style('Warning:', fg='yellow', bold=True)} {problem}", err=True)


def origin(ctx: click.Context, name: str) -> str:
    """What the user calls the setting: `--port`, or ROOMCAST_PORT where it came from the environment."""
    param = next(param for param in ctx.command.params if param.name == name)
    if ctx.get_parameter_source(name) is ParameterSource.ENVIRONMENT and isinstance(param.envvar, str):
        return param.envvar
    return param.opts[0]


def gives_way(ctx: click.Context, name: str, *rivals: str, why: str) -> bool:
    """Whether a setting that was given is void, because one that excludes it was given from nearer by.

    The command line is nearer than the environment: what stands there for all starts gives way to what is said
    for this one.

    Args:
        ctx: the command's.
        name: the setting.
        rivals: the settings that exclude it, given or not.
        why: what to choose between, for the error.

    Raises:
        ConfigurationError: it and a rival come from the same place.
    """
    own = ctx.get_parameter_source(name)
    for rival in rivals:
        source = ctx.get_parameter_source(rival)
        if source is own:
            raise ConfigurationError(f"{origin(ctx, name)} and {origin(ctx, rival)} exclude each other: {why}")
        if source is ParameterSource.COMMANDLINE:
            return True
    return False


def _in_short(error: click.ClickException) -> str:
    if isinstance(error, click.BadParameter) and error.param is not None and error.message:
        named = error.param.get_error_hint(error.ctx).strip("'")
        return f"{named}: {error.message.rstrip('.')}"
    message = error.format_message().rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message}. See {error.ctx.command_path} --help"
    return message
