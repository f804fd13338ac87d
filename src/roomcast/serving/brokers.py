"""The broker of a server: whether it can be had, and where the chat keeps its history unless it is told."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from platformdirs import user_state_path

from roomcast.errors import BrokerInUse, BrokerUnavailable, ConfigurationError
from roomcast.rooms.brokers import DEFAULT_URL, broker_from_url
from roomcast.rooms.brokers.sqlite.url import Location


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


def try_broker(url: str) -> None:
    """Find out whether a broker of one process can be opened by this one, so that a server starts or says why not.

    Raises:
        BrokerInUse: another process has it.
        ConfigurationError: it cannot be opened.
    """
    broker = broker_from_url(url)

    async def open_and_close() -> None:
        await broker.open(lambda *_: None)
        await broker.close()

    if not broker.many_processes:
        try:
            asyncio.run(open_and_close())
        except BrokerUnavailable as error:
            raise ConfigurationError(str(error)) from None


def history_note(url: str) -> str:
    """Say where the history of a chat is, for the line that it starts with; "" where that is nowhere for long."""
    return f"history in {Location.parse(url).path}; " if url.startswith("sqlite:") else ""
