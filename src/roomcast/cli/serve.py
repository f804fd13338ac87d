"""`roomcast serve`: the chat, or any ASGI app."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from uvicorn.config import LOG_LEVELS, STARTUP_FAILURE

from roomcast.cli.broker_url import checked_url
from roomcast.errors import BrokerUnavailable, ConfigurationError
from roomcast.origins import Origins
from roomcast.rooms.brokers import SCHEMES, serves_many_processes
from roomcast.serving.announcement import Announcement, web_address
from roomcast.serving.apps import AppReference
from roomcast.serving.brokers import chat_broker, chat_url, history_note, try_broker
from roomcast.serving.limiting import export, limit_options
from roomcast.serving.logs import FORMATS
from roomcast.serving.operations import Operations
from roomcast.serving.running import Manner, run
from roomcast.serving.settings import (
    Duration,
    Number,
    Sections,
    Switch,
    Token,
    complain,
    gives_way,
    origin,
    setting,
    warn,
)
from roomcast.serving.tcp import listening_on_port
from roomcast.serving.tls import check_certificate
from roomcast.serving.tokens import settle_tokens, token_settings
from roomcast.serving.trial import try_aside
from roomcast.serving.unix import listening_on_path

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from roomcast.rooms import Broker

CHAT = AppReference("roomcast.chat.app", "create_app", factory=True)

LEAST_DRAIN = 0.05
"""How many seconds `--drain 0s` means."""

SERVE_HELP = """Start the chat, or serve any ASGI app.

Without MODULE:ATTRIBUTE it starts Roomcast's chat. With it, it serves the app of that name: the module is
looked for in the current directory first.

\b
Examples:
  roomcast serve                            the chat, on http://127.0.0.1:8000
  roomcast serve main:app --reload          your app, restarted when its code changes
  roomcast serve main:app --workers 4       your app, on four cores
  roomcast serve --host 0.0.0.0             the chat, for everyone on the network
  roomcast serve --token-key public.pem     the chat, for who has a token of this key

Each setting can also come from the environment, MODULE:ATTRIBUTE too (ROOMCAST_APP). What is on the command
line wins.
"""


@click.command(cls=Sections, help=SERVE_HELP, short_help="Start the chat, or serve any ASGI app.")
@click.argument("app", metavar="[MODULE:ATTRIBUTE]", required=False, envvar="ROOMCAST_APP")
@setting(
    "--host", default="127.0.0.1", metavar="HOST", help="Name or address to listen on; 0.0.0.0 or :: for all."
)
@setting(
    "--port",
    default=8000,
    metavar="NUMBER",
    type=Number("port: ports are 1 to 65535, and 0 picks a free one", 0, 65535),
    help="Port to listen on; 0 picks a free one.",
)
@setting("--uds", metavar="PATH", help="Unix socket to listen on, instead of a host and port.")
@setting("--ssl-certfile", "certfile", metavar="PATH", help="Certificate to serve https and wss with.")
@setting("--ssl-keyfile", "keyfile", metavar="PATH", help="The certificate's key.")
@setting(
    "--workers",
    default=1,
    metavar="NUMBER",
    type=Number("number of workers: 1 is the least", 1),
    help="Processes that serve, one for each core to use.",
)
@setting(
    "--reload", is_flag=True, type=Switch(), help="Restart when Python files below the current directory change."
)
@setting(
    "--broker",
    metavar="URL",
    help="What carries messages and keeps the history: memory://, sqlite:///FILE, redis://HOST or nats://HOST. "
    "The chat has its own file.",
)
@setting(
    "--wait-for-broker",
    default=0,
    metavar="SECONDS",
    type=Number("number of seconds: 0 is the least", 0),
    help="How long to try again to reach a broker that cannot be reached at the start.",
)
@setting(
    "--drain",
    default="10s",
    metavar="TIME",
    type=Duration(),
    help="How long a server that is told to stop takes to close its connections, at the most.",
)
@setting(
    "--metrics-port",
    metavar="NUMBER",
    type=Number("port: ports are 1 to 65535, and 0 picks a free one", 0, 65535),
    help="Port for operators, with /metrics, /healthz and /readyz; 0 picks a free one.",
)
@setting(
    "--metrics-host",
    default="127.0.0.1",
    metavar="HOST",
    help="Name or address that the operators' port listens on.",
)
@setting(
    "--metrics-token",
    metavar="TOKEN",
    type=Token(),
    help="What a scraper of /metrics has to show. Without --metrics-port, /metrics is on the public port then.",
)
@setting("--factory", is_flag=True, type=Switch(), help="ATTRIBUTE is a function that returns the app.")
@setting(
    "--log-level",
    default="info",
    type=click.Choice(list(LOG_LEVELS), case_sensitive=False),
    metavar="LEVEL",
    help=f"The least important messages to log: {', '.join(LOG_LEVELS)}.",
)
@setting(
    "--log-format",
    default=FORMATS[0],
    type=click.Choice(FORMATS, case_sensitive=False),
    metavar="FORMAT",
    help=f"What the log is written as: {' or '.join(FORMATS)}.",
)
@setting(
    "--allow-origin",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of another origin connect: https://app.example.org, https://*.example.org, or * for all.",
)
@setting(
    "--forwarded-allow-ips",
    metavar="LIST",
    help="Proxies, with commas between, whose X-Forwarded-For says who the client is; * for all. "
    "[default: 127.0.0.1]",
)
@token_settings
@limit_options
@click.pass_context
def serve(
    ctx: click.Context,
    /,
    *,
    app: str | None,
    host: str,
    port: int,
    uds: str | None,
    certfile: str | None,
    keyfile: str | None,
    workers: int,
    reload: bool,
    broker: str | None,
    wait_for_broker: int,
    drain: float,
    metrics_port: int | None,
    metrics_host: str,
    metrics_token: str | None,
    factory: bool,
    log_level: str,
    log_format: str,
    allow_origin: tuple[str, ...],
    forwarded_allow_ips: str | None,
    **others: Any,  # noqa: ANN401 - those of limit_options and of token_settings
) -> int:
    """Serve until a signal ends it, and return the exit code."""
    # Stopping is what SIGTERM asks for: from the first moment on it ends the program as Ctrl+C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.path.insert(0, str(Path.cwd()))
    with suppress(KeyboardInterrupt):
        if uds is not None and gives_way(ctx, "uds", "host", "port", why="listen on the one or on the other"):
            uds = None
        if reload and workers > 1:
            if gives_way(ctx, "reload", "workers", why="what reloads is one process"):
                reload = False
            else:
                workers = 1
        needs_tokens = settle_tokens(ctx, others)
        try:
            note = _settle_broker(ctx, app, broker, workers, wait_for_broker)
        except BrokerUnavailable as error:
            complain(str(error))
            return STARTUP_FAILURE
        if needs_tokens and app is None:
            note = f"who comes needs a token; {note}"
        scheme = _check_tls(ctx, certfile, keyfile)
        reference = _reference(ctx, app, factory=factory)
        os.environ["ROOMCAST_WORKERS"] = str(workers)  # how many there are is each one's to know
        export(ctx, others)
        _settle_origins(ctx, allow_origin)
        if reload or workers > 1:
            try_aside(reference)
        else:
            reference.find()
        what = "Roomcast chat" if app is None else f"Serving {reference}"
        with ExitStack() as stack:
            operators = stack.enter_context(_listening_for_operators(metrics_host, metrics_port))
            note += _operators_note(operators)
            in_json = log_format == "json"
            listening = _listening(what, scheme, host, port, uds, note, in_json=in_json)
            listeners, announcement = stack.enter_context(listening)
            manner = Manner(
                workers=workers,
                reload=reload,
                drain=max(drain, LEAST_DRAIN),
                log_level=log_level,
                log_format=log_format,
                certfile=certfile,
                keyfile=keyfile,
                forwarded_allow_ips=forwarded_allow_ips,
                operations=Operations(metrics_token, on_public_port=bool(metrics_token) and not operators),
                operators=operators,
            )
            exit_code = run(reference, listeners, announcement, manner)
        if exit_code != 0:
            complain(f"{reference} did not start; the log above says why")
        return exit_code
    return 0


def _settle_broker(ctx: click.Context, app: str | None, broker: str | None, workers: int, wait: float) -> str:
    """Choose the broker, if there is to be one, and let the app know it; returns what is to be announced of it."""
    if broker is None and app is not None:
        return ""
    url = checked_url(ctx, broker) if broker is not None else chat_url()
    if workers > 1 and not serves_many_processes(url):
        scheme = url.partition("://")[0]
        shared: dict[type[Broker], str] = {}  # the first scheme of each
        for name, kind in SCHEMES.items():
            if kind.many_processes:
                shared.setdefault(kind, f"--broker {name}://…")
        raise ConfigurationError(
            f"{origin(ctx, 'workers')} {workers} needs a broker that several processes share, which {scheme}:// "
            f"is not: use {' or '.join([*shared.values(), '--workers 1'])}"
        )
    if broker is not None:
        try_broker(url, wait)
    else:
        url, problem = chat_broker()
        if problem:
            warn(f"this chat keeps its history in memory, and only as long as it runs: {problem}")
    os.environ["ROOMCAST_BROKER"] = url
    return history_note(url) if app is None else ""


def _settle_origins(ctx: click.Context, allowed: tuple[str, ...]) -> None:
    """Check the origins, and let the processes that serve know them."""
    try:
        Origins(*allowed)
    except ConfigurationError as error:
        raise ConfigurationError(f"{origin(ctx, 'allow_origin')}: {error}") from None
    os.environ["ROOMCAST_ALLOW_ORIGIN"] = " ".join(allowed)


def _check_tls(ctx: click.Context, certfile: str | None, keyfile: str | None) -> str:
    """Check the certificate, if there is one, and return the scheme of the URL."""
    if certfile is None and keyfile is None:
        return "http"
    if certfile is not None and keyfile is not None:
        check_certificate(certfile, keyfile)
        return "https"
    given, missing = ("certfile", "--ssl-keyfile") if keyfile is None else ("keyfile", "--ssl-certfile")
    raise ConfigurationError(f"{origin(ctx, given)} needs {missing} too: TLS takes a certificate and its key")


def _reference(ctx: click.Context, app: str | None, *, factory: bool) -> AppReference:
    if app is not None:
        return AppReference.parse(app, factory=factory)
    if factory:
        raise ConfigurationError(f"{origin(ctx, 'factory')} needs MODULE:ATTRIBUTE, the factory")
    return CHAT


@contextmanager
def _listening(
    what: str, scheme: str, host: str, port: int, uds: str | None, note: str, *, in_json: bool
) -> Iterator[tuple[list[socket.socket], Announcement]]:
    with ExitStack() as stack:
        if uds is not None:
            address = f"unix:{click.format_filename(uds)}", ""
            listeners = stack.enter_context(listening_on_path(uds))
        else:
            listeners = stack.enter_context(listening_on_port(host, port))
            address = web_address(scheme, host, listeners[0].getsockname()[1])
        announcement = Announcement(what, *address, note=note, in_json=in_json)
        yield listeners, stack.enter_context(closing(announcement))


@contextmanager
def _listening_for_operators(host: str, port: int | None) -> Iterator[list[socket.socket]]:
    """Listen on the operators' port, if there is to be one."""
    if port is None:
        yield []
        return
    with listening_on_port(host, port, "--metrics-") as listeners:
        yield listeners


def _operators_note(listeners: list[socket.socket]) -> str:
    if not listeners:
        return ""
    host, port = listeners[0].getsockname()[:2]
    return f"metrics on {web_address('http', host, port)[0]}/metrics; "
