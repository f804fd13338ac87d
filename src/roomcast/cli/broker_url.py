"""The broker's URL, as an option of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.errors import ConfigurationError
from roomcast.rooms.brokers import check_broker_url
from roomcast.serving.brokers import chat_url
from roomcast.serving.settings import origin

if TYPE_CHECKING:
    import click


def checked_url(ctx: click.Context, broker: str) -> str:
    """Give the URL of a broker that there is.

    Raises:
        ConfigurationError: it names none; the error says where the URL came from.
    """
    try:
        check_broker_url(broker)
    except ConfigurationError as error:
        raise ConfigurationError(f"{origin(ctx, 'broker')}: {error}") from None
    return broker


def shared_url(ctx: click.Context, broker: str | None) -> str:
    """Give the URL of a broker that a command can reach beside a server: that of the chat, where none is named.

    Raises:
        ConfigurationError: it names none, or one that is in the memory of a server.
    """
    url = chat_url() if broker is None else checked_url(ctx, broker)
    if url.startswith("memory:"):
        raise ConfigurationError(
            f"{origin(ctx, 'broker')}: memory:// is the memory of one process, which no other one reaches: name a "
            "broker that keeps rooms outside of it, such as sqlite:///FILE"
        )
    return url
