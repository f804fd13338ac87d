"""What can go wrong with a request to NATS, as whoever made it has to tell apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from roomcast.errors import BrokerUnavailable

if TYPE_CHECKING:
    from roomcast.rooms.brokers.nats.connection import Message

NOT_ENABLED = (10039, 10076)
"""JetStream is not enabled for the account, or not at all."""
STREAM_NOT_FOUND = 10059
NAME_IN_USE = 10058
WRONG_LAST_SEQUENCE = 10071
NO_MESSAGE_FOUND = 10037
FULL = (10002, 10023, 10028, 10047, 10077, 10122)
"""The server, the account or the stream takes no more."""


class Unreachable(BrokerUnavailable):
    """There is no connection, or it was lost before the answer came."""


class NoAnswer(Unreachable):
    """The answer did not come in time."""


class NobodyThere(BrokerUnavailable):
    """Nobody serves the subject: there is no JetStream, or no stream for it, or no server that leads it."""


class Refused(BrokerUnavailable):
    """JetStream said no.

    Attributes:
        code: its number for the reason.
    """

    def __init__(self, code: int, description: str) -> None:
        self.code = code
        if code in FULL:
            description = f"its storage is full ({description}): give it more, or keep less"
        super().__init__(f"NATS refuses it: {description}")

    def __reduce__(self) -> tuple[type[BrokerUnavailable], tuple[str]]:
        return BrokerUnavailable, (str(self),)


def answer_of(message: Message) -> dict[str, Any]:
    """Read what JetStream answers.

    Raises:
        Refused: it is an error.
    """
    answer: dict[str, Any] = json.loads(message.data)
    if (error := answer.get("error")) is not None:
        raise Refused(error.get("err_code", 0), error.get("description", "no reason given"))
    return answer
