"""Reasons: under which one an error of a peer's is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.counts import Reason
from roomcast.errors import MessageTooBig, MessageTooLate, RateExceeded, TooManyFrames

if TYPE_CHECKING:
    from roomcast.errors import ProtocolError

_REASONS: dict[type[ProtocolError], Reason] = {
    MessageTooBig: Reason.MESSAGE_SIZE,
    MessageTooLate: Reason.MESSAGE_TIMEOUT,
    RateExceeded: Reason.RATE,
    TooManyFrames: Reason.FRAMES,
}


def reason_of(error: ProtocolError) -> Reason:
    """Give the reason for which an error ended a connection."""
    return _REASONS.get(type(error), Reason.PROTOCOL)
