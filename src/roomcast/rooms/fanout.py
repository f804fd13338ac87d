"""Fan-out: one event to all members of its room in this process, encoded once for each wire format."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from roomcast.protocol.prepared import PreparedMessage
from roomcast.rooms.events import excluded
from roomcast.rooms.publication import Publication

if TYPE_CHECKING:
    from roomcast.rooms.events import Encoder, RoomEvent
    from roomcast.rooms.member import Member

logger = logging.getLogger("roomcast.rooms")


def fan_out(event: RoomEvent, members: tuple[Member, ...]) -> int:
    """Offer the event to every member but the excluded one, without waiting for any, and say to how many."""
    left_out = excluded(event)
    position = event.position if isinstance(event, Publication) else None
    encodings: dict[Encoder, PreparedMessage | None] = {}
    encoder: Encoder | None = None
    message: PreparedMessage | None = None
    count = 0
    for member in members:
        is_same = member.encoder is encoder  # mostly it is that of the member before
        if is_same and message is None:
            continue
        if left_out is not None and (member.id == left_out or (member.formerly and left_out in member.formerly)):
            continue
        if not is_same:
            encoder = member.encoder
            if encoder not in encodings:
                encodings[encoder] = encode(encoder, event)
            message = encodings[encoder]
        if message is None:
            continue
        count += 1
        if member._held is None:  # as `deliver` does: in a large room a call each costs more than all the rest
            if member._offer(message, member):
                member._delivered += 1
            else:
                member.miss()
        else:
            member.deliver(message, position)
    return count


def encode(encoder: Encoder, event: RoomEvent) -> PreparedMessage | None:
    """Write an event in one wire format; None where that has nothing for it, or fails."""
    try:
        data = encoder(event)
        return None if data is None else PreparedMessage(data)
    except Exception:
        # A publisher must not fail, nor other formats starve, because of one format's fault.
        logger.exception("encoder %r could not write a %s", encoder, type(event).__name__)
        return None
