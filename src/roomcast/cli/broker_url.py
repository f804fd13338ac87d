"""The broker's URL, as an option of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.errors import ConfigurationError
from roomcast.rooms.brokers import check_broker_url
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
