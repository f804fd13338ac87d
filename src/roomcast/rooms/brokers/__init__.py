"""The brokers, by the scheme of their URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from roomcast.errors import UnknownBroker
from roomcast.rooms.brokers.memory import MemoryBroker
from roomcast.rooms.brokers.nats import NatsBroker
from roomcast.rooms.brokers.nats.url import SCHEMES as NATS
from roomcast.rooms.brokers.redis import RedisBroker
from roomcast.rooms.brokers.redis.url import FORMS as REDIS
from roomcast.rooms.brokers.sqlite import SqliteBroker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomcast.rooms.brokers.base import Broker

SCHEMES: Mapping[str, type[Broker]] = {
    "memory": MemoryBroker,
    "sqlite": SqliteBroker,
    **dict.fromkeys(REDIS, RedisBroker),
    **dict.fromkeys(NATS, NatsBroker),
}
"""Which broker serves which scheme."""
DEFAULT_URL = "memory://"
"""The broker of whoever names none."""


def broker_from_url(url: str) -> Broker:
    """Make the broker that `url` names. It is not connected before it is opened.

    Raises:
        UnknownBroker: if the URL names none.
        ConfigurationError: for a setting in it that cannot be.
    """
    return _broker_class(url).from_url(url)


def check_broker_url(url: str) -> None:
    """Find out, without connecting, whether `url` names a broker.

    Raises:
        UnknownBroker: if it does not.
        ConfigurationError: for a setting in it that cannot be.
    """
    broker_from_url(url)


def serves_many_processes(url: str) -> bool:
    """Say whether several processes can share the broker that `url` names.

    Raises:
        UnknownBroker: if it names none.
    """
    return broker_from_url(url).many_processes


def _broker_class(url: str) -> type[Broker]:
    scheme, separator, _ = url.partition("://")
    known = ", ".join(f"{name}://" for name in SCHEMES)
    if not separator or scheme not in SCHEMES:
        # Passwords stand in URLs: an error never repeats what comes after the scheme.
        named = f"scheme {scheme!r}" if separator and re.fullmatch(r"[a-z0-9+.-]*", scheme) else "no scheme"
        raise UnknownBroker(f"the broker URL has {named}; known are: {known}")
    return SCHEMES[scheme]
