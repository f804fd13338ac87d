"""The broker of a server: whether it can be had, and where the chat keeps its history unless it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from platformdirs import user_state_path

from roomcast.errors import BrokerInUse, BrokerUnavailable, ConfigurationError
from roomcast.rooms.brokers import DEFAULT_URL, broker_from_url
from roomcast.rooms.brokers.nats.url import SCHEMES as NATS
from roomcast.rooms.brokers.nats.url import Location as NatsLocation
from roomcast.rooms.brokers.redis.url import FORMS as REDIS
from roomcast.rooms.brokers.redis.url import Location as RedisLocation
from roomcast.rooms.brokers.sqlite.url import Location
from roomcast.serving.settings import warn

if TYPE_CHECKING:
    from roomcast.rooms.brokers.base import Broker

TRY_INTERVAL = 0.5
"""How many seconds lie between two attempts to reach a broker that is waited for."""
WORD_INTERVAL = 5.0
"""How many seconds lie between two lines that say so."""


class ChatBroker(NamedTuple):
    """The broker of a chat that was told none.

    Attributes:
        url: its URL.
        problem: why it is not what it should be, "" where it is.
    """

    url: str
    problem: str = ""


def chat_url() -> str:
    """Give the URL of the chat's own broker: a file in the user's folder for what programs leave there."""
    return Location(user_state_path("roomcast", appauthor=False) / "chat.db").url


def make_chat_folder() -> None:
    """Make the folder of the chat's own broker, for this user alone, unless it is there.

    Raises:
        ConfigurationError: it cannot be made.
    """
    folder = Location.parse(chat_url()).path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the folder {folder} cannot be made: {error.strerror}") from None


def chat_broker() -> ChatBroker:
    """Give the chat's own broker, or one in memory where another chat has that, or its folder cannot be made.

    Raises:
        ConfigurationError: the file is damaged, or cannot be used for another reason.
    """
    url = chat_url()
    try:
        make_chat_folder()
    except ConfigurationError as error:
        return ChatBroker(DEFAULT_URL, str(error))
    try:
        try_broker(url)
    except BrokerInUse as error:
        return ChatBroker(DEFAULT_URL, str(error))
    return ChatBroker(url)


def try_broker(url: str, wait: float = 0.0) -> None:
    """Find out whether a broker can be opened, so that a server starts or says why not.

    Args:
        url: the broker's.
        wait: for how many seconds one that cannot be reached is tried again, where several processes share it.

    Raises:
        BrokerInUse: another process has it.
        BrokerUnavailable: it cannot be reached.
        ConfigurationError: it cannot be opened.
    """
    broker = broker_from_url(url)
    try:
        asyncio.run(_open_within(wait if broker.many_processes else 0.0, broker))
    except BrokerUnavailable as error:
        if broker.many_processes:
            raise
        raise ConfigurationError(str(error)) from None


async def _open_within(seconds: float, broker: Broker) -> None:
    loop = asyncio.get_running_loop()
    deadline, next_word = loop.time() + seconds, 0.0
    while True:
        try:
            await broker.open(lambda *_: None)
        except BrokerUnavailable as error:
            remaining = deadline - loop.time()
            if remaining <= 0:
                raise
            if loop.time() >= next_word:
                next_word = loop.time() + WORD_INTERVAL
                warn(f"{error}; it is tried again for {remaining:.0f} s")
            await asyncio.sleep(min(TRY_INTERVAL, remaining))
        else:
            await broker.close()
            return


def history_note(url: str) -> str:
    """Say where the history of a chat is, for the line that it starts with; "" where that is nowhere for long."""
    scheme = url.partition("://")[0]
    if scheme == "sqlite":
        return f"history in {Location.parse(url).path}; "
    if scheme in NATS:
        return f"history in {NatsLocation.parse(url)}; "
    return f"history in {RedisLocation.parse(url)}; " if scheme in REDIS else ""
