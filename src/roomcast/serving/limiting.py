"""The limits of `roomcast serve`: an option for each, which the processes that serve find in the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from roomcast import limits
from roomcast.errors import ConfigurationError
from roomcast.guard import Guard
from roomcast.limits import Limits
from roomcast.origins import Origins
from roomcast.rooms.connection import ROOMS_PER_CONNECTION
from roomcast.server import settings
from roomcast.server.settings import OFF, Settings, read_number
from roomcast.serving.settings import Switch, setting

if TYPE_CHECKING:
    from starlette.types import ASGIApp

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

MAX_MESSAGE_SIZE = 1024 * 1024
"""The most bytes in a message, unless told otherwise."""

SECTION = "Limits (each of one process; 'off' switches one off)"

GUARDED = {
    "max_connections": "WebSockets that may be open.",
    "max_connections_per_address": "WebSockets that may be open from one address.",
    "handshakes_per_second": "WebSockets that an address may open in a second, and 4 times that at once.",
    "messages_per_second": "Messages that a connection may send in a second, and 4 times that after a pause.",
    "bytes_per_second": "Bytes that a connection may send in a second, and 4 times that at once.",
}
"""What a guard bounds, wherever the app runs."""

SERVED = {
    "max_fragments": "Frames that a message may come in.",
    "max_control_frames": "Pings, pongs and tiny fragments that may come in a second.",
    "max_url_bytes": "Bytes that a request's URL may have.",
    "max_header_bytes": "Bytes that a request's headers may have.",
    "max_waiting": "Sockets that may be open without a request.",
    "request_timeout": "Seconds that a request may take to come.",
    "message_timeout": "Seconds that a message may take to come.",
    "handshake_timeout": "Seconds that the app may take to answer a handshake.",
    "send_timeout": "Seconds that the app waits for a peer that does not read.",
    "close_timeout": "Seconds that a closed peer may take to go.",
    "inbound_bytes": "Bytes that may wait for the app.",
    "outbound_bytes": "Bytes that may wait for a peer to read.",
}
"""What the server bounds."""


@dataclass(frozen=True)
class Limited:
    """One option.

    Attributes:
        flag: such as `--max-connections`.
        number: `int`, or `float` where it may have a fraction.
        default: what holds unless told otherwise.
        text: what it bounds.
        is_kept: whether it holds in spite of `--no-limits`.
    """

    flag: str
    number: type[int | float]
    default: float | int | None
    text: str
    is_kept: bool = False

    @property
    def name(self) -> str:
        """What the option is called as a parameter."""
        return self.flag.removeprefix("--").replace("-", "_")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


ROOMS = Limited("--rooms-per-connection", int, ROOMS_PER_CONNECTION, "Rooms that a connection may be in.")
MESSAGE = Limited("--max-message-size", int, MAX_MESSAGE_SIZE, "Bytes that a message may have.")
LIMITED: tuple[Limited, ...] = (
    *(Limited(_flag(name), limits.NUMBERS[name], getattr(Limits(), name), text) for name, text in GUARDED.items()),
    MESSAGE,
    ROOMS,
    *(
        Limited(
            f"--ws{_flag(name)[1:]}",
            settings.NUMBERS[name],
            getattr(Settings(), name),
            text,
            is_kept=name in settings.KEPT,
        )
        for name, text in SERVED.items()
    ),
)
"""Every limit that has an option."""


class _Limit(click.ParamType):  # type: ignore[type-arg]  # of click's newer versions it is generic
    name = "number"

    def __init__(self, limited: Limited) -> None:
        self._limited = limited

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Check the number, and give it as it was written.

        Raises:
            click.BadParameter: it is none, or out of bounds.
        """
        try:
            read_number("", str(value), self._limited.number, can_be_off=True)
        except ConfigurationError as error:
            self.fail(f"{value!r} is none: {str(error).rpartition(': ')[2]}", param, ctx)
        return str(value)


def limit_options(command: AnyFunction) -> AnyFunction:
    """Give a click command the options, as parameters of their names."""
    for limited in reversed(LIMITED):
        default = OFF if limited.default is None else f"{limited.default:.10g}"
        command = setting(
            limited.flag,
            default=default,
            type=_Limit(limited),
            metavar="NUMBER",
            help=limited.text,
            section=SECTION,
        )(command)
    return setting(
        "--no-limits",
        is_flag=True,
        type=Switch(),
        help="Switch off all of the following but the last five, where not given: for load tests.",
        section=SECTION,
    )(command)


def export(ctx: click.Context, chosen: dict[str, Any]) -> None:
    """Let the processes that serve know the limits.

    Args:
        ctx: the command's.
        chosen: the parameters of `limit_options`.
    """
    without = chosen["no_limits"]
    for limited in LIMITED:
        is_default = ctx.get_parameter_source(limited.name) is ParameterSource.DEFAULT
        text = OFF if without and is_default and not limited.is_kept else chosen[limited.name]
        os.environ[f"ROOMCAST_{limited.name.upper()}"] = text


def max_message_size() -> int | None:
    """Give the most bytes in a message, as the environment has it."""
    text = os.environ.get("ROOMCAST_MAX_MESSAGE_SIZE", str(MAX_MESSAGE_SIZE))
    return read_number("ROOMCAST_MAX_MESSAGE_SIZE", text, int, can_be_off=True)  # type: ignore[return-value]


def guarded(app: ASGIApp) -> Guard:
    """Put a guard around the app, with the limits and origins of the environment."""
    origins = Origins(*os.environ.get("ROOMCAST_ALLOW_ORIGIN", "").split())
    return Guard(app, origins=origins, limits=Limits.from_environment())
